"""stlpips-pytorch (github.com/abhijay9/ShiftTolerant-LPIPS), extra ``perceptual``: the one place that knows how to import it.

Its release 0.0.2 of 2022 imports two aids for debugging, ``IPython.embed`` and ``torchsummary.summary``, that it neither uses nor
requires; empty modules stand in for those that are missing while it is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from srbench.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import nn

_AIDS = {"IPython": "embed", "torchsummary": "summary"}


def check_installed() -> None:
    """Raise UnavailableError where the package is not installed; nothing is imported."""
    if importlib.util.find_spec("stlpips_pytorch") is None:
        raise MissingExtraError("st-lpips needs the package stlpips-pytorch", "perceptual")


def load_network() -> nn.Module:
    """ST-LPIPS over its own AlexNet, with the weights that the package ships, in eval mode on the CPU.

    Raises:
        UnavailableError: the package is not installed or does not import, with the way to install it.
    """
    stand_ins = []
    for name, aid in _AIDS.items():
        try:
            importlib.import_module(name)
        except ImportError:
            module = ModuleType(name)
            setattr(module, aid, None)
            sys.modules[name] = module
            stand_ins.append(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("stlpips_pytorch.stlpips")
            with torch.random.fork_rng(
                devices=[]
            ):  # its layers draw weights, which would move the state of a training run
                network: nn.Module = package.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    except ImportError as error:
        what = f"st-lpips needs the package stlpips-pytorch, which does not import ({error})"
        raise MissingExtraError(what, "perceptual") from None
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
    return network.requires_grad_(False).eval()
