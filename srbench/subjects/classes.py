"""Classes and functions of the user: ``package.module:Class`` and ``path/file.py:Class``."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from srbench.errors import InputError, SrbenchError, UnknownNameError, nearest
from srbench.subjects.modules import declared_scale, of_module
from srbench.subjects.subject import Options, Request, Subject, named_with, word
from srbench.zoo import load_weights


def recognises(text: str) -> bool:
    """Whether a text names something in Python code."""
    return ":" in text or text.endswith(".py")


def find(request: Request) -> list[Subject]:
    """The network that the class or function makes, which is given ``scale=`` (or ``upscale=``) if it takes one.

    Raises:
        InputError: it cannot be imported or made, or what is made is no module.
        UnknownNameError: an option that its constructor does not take.
    """
    if ":" not in request.text:
        raise InputError(_which_class(Path(request.text)))
    where, _, attribute = request.text.rpartition(":")
    if not where or (where.startswith(".") and not where.endswith(".py")) or not attribute:
        raise InputError(f"{request.text}: expected package.module:Name or path/file.py:Name")
    factory = _attribute(_module(where, request.text), attribute, request.text)
    network = _made(factory, request)
    if request.weights is not None:
        load_weights(network, request.weights)
    stem = Path(where).stem if where.endswith(".py") else where
    name = named_with(f"{stem}.{attribute}", request.options)
    name += f".{word(request.weights.stem)}" if request.weights else ""
    return [
        of_module(
            network.eval(),
            request.scale,
            channels=request.channels,
            traits=request.traits,
            name=name,
            options=request.options,
            request=request,
        )
    ]


def _which_class(path: Path) -> str:
    """What is said of a file of Python whose class is not named. The file is read, and nothing in it runs."""
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); expected path/file.py:Name"
    except (SyntaxError, ValueError) as error:
        return f"{path}: is no Python ({error}); expected path/file.py:Name"
    names = [node.name for node in body if isinstance(node, ast.ClassDef) and node.bases]
    names += [node.name for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    told = f"such as {path}:{names[0]}" if names else f"as {path}:Name; it has none yet"
    more = f" (it has {', '.join(names)})" if len(names) > 1 else ""
    return f"{path} is Python: name the class, or the function that makes it, {told}{more}"


def _module(where: str, text: str) -> ModuleType:
    try:
        if where.endswith(".py"):
            return _from_file(Path(where), text)
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` does: the user's module may lie in the current folder
        return importlib.import_module(where)
    except SrbenchError:
        raise
    except ImportError as error:
        raise InputError(f"{text}: cannot import {where!r}: {error}") from None
    except Exception as error:
        raise InputError(f"{text}: importing {where} failed: {type(error).__name__}: {error}") from error


def _from_file(path: Path, text: str) -> ModuleType:
    """The module in a file; files beside it can be imported by it, as when Python runs it."""
    if not path.is_file():
        raise InputError(f"{text}: no such file: {path}")
    path = path.resolve()
    name = f"srbench_own_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{word(path.stem).replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _attribute(module: ModuleType, attribute: str, text: str) -> Any:
    try:
        return getattr(module, attribute)
    except AttributeError:
        guess = nearest(attribute, (name for name in vars(module) if not name.startswith("_")))
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise InputError(f"{text}: {text.rpartition(':')[0]} has no {attribute!r}.{hint}") from None


def _made(factory: Any, request: Request) -> nn.Module:
    """What a class or function makes; a module stands for itself."""
    text = request.text
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise InputError(f"{text}: is a {type(factory).__name__}; expected a class or function that makes a network")
    arguments = _arguments(factory, request)
    try:
        network = factory(**arguments)
    except SrbenchError:
        raise
    except Exception as error:
        raise InputError(making_failed(text, arguments, error)) from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{text}: made a {type(network).__name__}, not a torch.nn.Module")
    return network


def making_failed(who: str, given: Options, error: Exception) -> str:
    """What is said where a class or function raises: what it was given, as an option may be the cause, and what it said."""
    what = ", ".join(f"{name}={repr(value)[:40]}" for name, value in given.items())
    return f"{who}: making the network{f' with {what}' if what else ''} failed: {type(error).__name__}: {error}"


def _arguments(factory: Any, request: Request) -> Options:
    """Options and scale as the factory takes them; what it lacks and what it needs is said by name."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        parameters = inspect.signature(lambda **_: None).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in request.options:
        if option not in parameters and not anything:
            raise UnknownNameError("option", option, parameters, request.text)
    given: dict[str, Any] = dict(request.options)
    scale = request.scale or declared_scale(factory)
    for name in ("scale", "upscale"):
        if name in parameters and name not in given and scale is not None:
            given[name] = scale
            break
    fixed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        name for name, p in parameters.items() if p.default is p.empty and p.kind not in fixed and name not in given
    ]
    if missing:
        how = "--scale" if missing == ["scale"] or missing == ["upscale"] else f"--option {missing[0]}=VALUE"
        if how != "--scale":
            how += f" (of `srbench train`: --set options.{missing[0]}=VALUE)"
        raise InputError(f"{request.text} needs {', '.join(missing)}: give {how}")
    return given
