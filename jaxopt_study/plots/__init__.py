"""Figures of runs: curves, heat maps, comparisons, and the machinery that gives them their words."""
