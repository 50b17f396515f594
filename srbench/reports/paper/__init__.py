"""For papers: tables to paste (LaTeX, markdown, CSV, HTML), and figures of crops."""
