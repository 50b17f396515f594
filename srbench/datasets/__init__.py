"""Sets of images: what they are (catalog), where they are kept (local), and how they get there (fetch)."""
