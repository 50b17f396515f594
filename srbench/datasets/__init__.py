"""Sets of images: what they are (catalog), where they lie (local), how they get there (fetch)."""
