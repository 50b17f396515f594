"""Sets of pictures: what they are (catalog), where they lie (local), how they get there (fetch)."""
