"""From runs to numbers: selection, minima, the best, and intervals over seeds. Nothing here needs JAX."""

from jaxopt_study.analysis.best import best_cell, best_first, best_places, best_run, halfway, mean_lowest, progress
from jaxopt_study.analysis.intervals import Estimate, bca_interval, paired_differences, seed_estimate, student_interval
from jaxopt_study.analysis.minima import (
    Minima,
    Minimum,
    area_under_curve,
    epochs_to,
    losses,
    lowest,
    lowest_loss,
    minimum,
    seed_minima,
    settled,
    summary,
)
from jaxopt_study.analysis.runs import Cell, Runs, same_value

__all__ = [
    "Cell",
    "Estimate",
    "Minima",
    "Minimum",
    "Runs",
    "area_under_curve",
    "bca_interval",
    "best_cell",
    "best_first",
    "best_places",
    "best_run",
    "epochs_to",
    "halfway",
    "losses",
    "lowest",
    "lowest_loss",
    "mean_lowest",
    "minimum",
    "paired_differences",
    "progress",
    "same_value",
    "seed_estimate",
    "seed_minima",
    "settled",
    "student_interval",
    "summary",
]
