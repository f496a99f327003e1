"""From runs to numbers: selection, minima, speed, sensitivity and intervals over seeds. Nothing here needs jax."""

from jaxopt_study.analysis.intervals import (
    Band,
    Estimate,
    band,
    bca_interval,
    paired_differences,
    percentile_interval,
    seed_estimate,
    student_interval,
)
from jaxopt_study.analysis.minima import (
    Minimum,
    best_cell,
    halfway,
    losses,
    lowest,
    mean_lowest,
    minimum,
    progress,
    settled,
)
from jaxopt_study.analysis.runs import Cell, Runs, same_value
from jaxopt_study.analysis.sensitivity import Range, Shares, sensitivity, variance_shares
from jaxopt_study.analysis.speed import (
    Ratio,
    area_under_curve,
    convergence_ratio,
    convergence_table,
    epochs_to,
)

__all__ = [
    "Band",
    "Cell",
    "Estimate",
    "Minimum",
    "Range",
    "Ratio",
    "Runs",
    "Shares",
    "area_under_curve",
    "band",
    "bca_interval",
    "best_cell",
    "convergence_ratio",
    "convergence_table",
    "epochs_to",
    "halfway",
    "losses",
    "lowest",
    "mean_lowest",
    "minimum",
    "paired_differences",
    "percentile_interval",
    "progress",
    "same_value",
    "seed_estimate",
    "sensitivity",
    "settled",
    "student_interval",
    "variance_shares",
]
