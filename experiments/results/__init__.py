"""The published studies, and the command that makes them: python -m experiments.results.publish."""
