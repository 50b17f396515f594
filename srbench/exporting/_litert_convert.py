"""Run by the Python of LiteRT's own environment, which has no srbench: an exported program of PyTorch → a LiteRT file."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version


def main(source: str, target: str, shape: str, kind: str) -> None:
    """Convert a file.

    Args:
        source: what ``torch.export.save`` wrote.
        target: the LiteRT file.
        shape: of the input, as JSON.
        kind: of its values, such as ``float32``.
    """
    import torch

    litert_torch = import_module("litert_torch")  # never in srbench's own environment, whose dependencies are declared
    network = torch.export.load(source).module()
    x = torch.zeros(json.loads(shape), dtype=getattr(torch, kind))
    litert_torch.convert(network, (x,)).export(target)
    packages = ("litert-torch", "litert-converter", "torch")
    print(json.dumps({f"{name} (LiteRT)": version(name) for name in packages}))  # noqa: T201  (its answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
