"""The article's experiments, each a command: python -m experiments.NAME."""
