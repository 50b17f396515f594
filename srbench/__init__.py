"""srbench: single-image super-resolution models under one protocol.

The tree is the data flow: datasets → models → training → zoo/ → evaluation → results/ → reports/.
"""

from __future__ import annotations

import importlib
from types import FunctionType
from typing import TYPE_CHECKING, Any

from srbench.errors import without_inner_frames

__version__ = "0.1.0"

_PUBLIC = {
    "Inference": "srbench.inference",
    "Protocol": "srbench.protocol",
    "Result": "srbench.results",
    "Traits": "srbench.upscaler",
    "Upscaler": "srbench.upscaler",
    "compare": "srbench.door",
    "create_model": "srbench.models",
    "evaluate": "srbench.evaluation",
    "export": "srbench.door",
    "leaderboard": "srbench.reports.notebook",
    "list_checkpoints": "srbench.zoo",
    "list_datasets": "srbench.door",
    "list_metrics": "srbench.metrics",
    "list_models": "srbench.models",
    "list_recipes": "srbench.door",
    "load": "srbench.subjects",
    "load_checkpoint": "srbench.zoo",
    "load_results": "srbench.results",
    "score": "srbench.evaluation",
    "train": "srbench.door",
    "upscale": "srbench.door",
}

_MODULES = ("images",)

__all__ = [
    "Inference", "Protocol", "Result", "Traits", "Upscaler", "__version__", "compare", "create_model", "evaluate", "export",
    "leaderboard", "list_checkpoints", "list_datasets", "list_metrics", "list_models", "list_recipes", "load", "load_checkpoint",
    "load_results", "score", "train", "upscale",
]  # fmt: skip

if TYPE_CHECKING:
    from srbench.door import compare, export, list_datasets, list_recipes, train, upscale
    from srbench.evaluation import evaluate, score
    from srbench.inference import Inference
    from srbench.metrics import list_metrics
    from srbench.models import create_model, list_models
    from srbench.protocol import Protocol
    from srbench.reports.notebook import leaderboard
    from srbench.results import Result, load_results
    from srbench.subjects import load
    from srbench.upscaler import Traits, Upscaler
    from srbench.zoo import list_checkpoints, load_checkpoint


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that ``import srbench`` needs no torch."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'srbench' has no attribute {name!r}")
    found = getattr(importlib.import_module(_PUBLIC[name]), name)
    if isinstance(found, FunctionType):
        found = without_inner_frames(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
