"""``srbench`` and ``python -m srbench``."""

from __future__ import annotations

from srbench.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
