"""Other projects' code, each behind an extra and imported only when asked for."""
