"""The report: one page that shows what an experiment found, for a reader who never saw the code."""
