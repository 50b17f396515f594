"""srbench: single-image super-resolution models under one protocol.

The tree is the data flow: datasets → models → training → zoo/ → evaluation → results/ → reports/.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "list_models": "srbench.models",
    "create_model": "srbench.models",
    "list_checkpoints": "srbench.zoo",
    "load_checkpoint": "srbench.zoo",
    "load": "srbench.subjects",
    "Inference": "srbench.inference",
    "Upscaler": "srbench.upscaler",
    "evaluate": "srbench.evaluation",
    "score": "srbench.evaluation",
    "load_results": "srbench.results",
    "Result": "srbench.results",
    "Protocol": "srbench.protocol",
}

_MODULES = ("images",)

__all__ = [
    "Inference", "Protocol", "Result", "Upscaler", "__version__", "create_model", "evaluate", "list_checkpoints", "list_models",
    "load", "load_checkpoint", "load_results", "score",
]  # fmt: skip

if TYPE_CHECKING:
    from srbench.evaluation import evaluate, score
    from srbench.inference import Inference
    from srbench.models import create_model, list_models
    from srbench.protocol import Protocol
    from srbench.results import Result, load_results
    from srbench.subjects import load
    from srbench.upscaler import Upscaler
    from srbench.zoo import list_checkpoints, load_checkpoint


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import srbench`` needs no torch."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'srbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
