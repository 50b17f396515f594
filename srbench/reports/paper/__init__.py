"""For papers: tables to paste (LaTeX, markdown, CSV, HTML)."""
