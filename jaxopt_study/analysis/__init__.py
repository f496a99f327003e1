"""From runs to numbers: selection, minima, speed, sensitivity and intervals over seeds. Nothing here needs jax."""

from jaxopt_study.analysis.best import best_cell, best_first, best_places, best_run, halfway, mean_lowest, progress
from jaxopt_study.analysis.intervals import Estimate, bca_interval, paired_differences, seed_estimate, student_interval
from jaxopt_study.analysis.minima import (
    Minima,
    Minimum,
    losses,
    lowest,
    lowest_loss,
    minimum,
    seed_minima,
    settled,
    summary,
)
from jaxopt_study.analysis.runs import Cell, Runs, same_value
from jaxopt_study.analysis.sensitivity import Shares, variance_shares
from jaxopt_study.analysis.speed import (
    Ratio,
    area_under_curve,
    convergence_ratio,
    convergence_table,
    epochs_to,
)

__all__ = [
    "Cell",
    "Estimate",
    "Minima",
    "Minimum",
    "Ratio",
    "Runs",
    "Shares",
    "area_under_curve",
    "bca_interval",
    "best_cell",
    "best_first",
    "best_places",
    "best_run",
    "convergence_ratio",
    "convergence_table",
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
    "variance_shares",
]
