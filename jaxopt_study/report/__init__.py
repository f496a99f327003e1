"""The report of a study: one self-contained HTML page."""
