"""pyiqa (github.com/chaofengc/IQA-PyTorch), extra ``pyiqa``: imported only when one of its metrics is asked for.

Its licence is PolyForm Noncommercial 1.0.0: no commercial use. It downloads weights from a hub when a metric is first made.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from srbench.errors import UnavailableError, install

LICENCE = "PolyForm Noncommercial 1.0.0 (pyiqa): no commercial use; weights: each of its authors"
INSTALL = f"{install('pyiqa')} (licence: PolyForm Noncommercial, no commercial use)"


def check_installed(metric: str) -> None:
    """Raise UnavailableError where pyiqa is not installed; nothing is imported.

    Args:
        metric: the name that the message begins with.
    """
    if importlib.util.find_spec("pyiqa") is None:
        raise UnavailableError("unavailable", f"{metric} needs the package pyiqa: {INSTALL}")


def create(metric: str, theirs: str, device: torch.device) -> Callable[..., Tensor]:
    """A metric of pyiqa; says once that its licence is non-commercial.

    Args:
        metric: our name, for messages.
        theirs: pyiqa's name.
        device: where it runs.

    Raises:
        UnavailableError: pyiqa is not installed, does not import, or cannot have the weights, with what to do.
    """
    check_installed(metric)
    try:
        package: Any = importlib.import_module("pyiqa")
        with torch.random.fork_rng(devices=[]):
            made: Callable[..., Tensor] = package.create_metric(theirs, device=device)
    except Exception as error:  # whatever an optional package raises, the other metrics go on
        text = " ".join(str(error).split())[:200]
        raise UnavailableError(
            "unavailable",
            f"{metric}: pyiqa cannot make {theirs!r} ({type(error).__name__}: {text}); it downloads the weights into torch's "
            "cache when it is first asked for, so ask once with the network at hand",
        ) from None
    warnings.warn(f"{metric} comes from pyiqa, whose licence is {LICENCE}", stacklevel=2)
    return made
