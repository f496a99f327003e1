"""What changes where the velocity is an average of the gradients? (section 3 of the article)

    python -m experiments.momentum_formulations                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.momentum_formulations --preset=article     # cats_vs_dogs at 128 x 128

Besides both formulations at the same numbers it trains plain momentum at (1 - momentum) times the rate, which computes
the same weights as the average form. Expected: in the average form higher momentum slows convergence, and the two
formulations at matched rates agree up to rounding. Figures 19 and 20.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import along, family, horizon
from experiments.article.part import NotApplicable, Part
from experiments.article.parts import by_seed, mean_loss, over, trend
from experiments.article.spread import partly_learning
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, Values, full_grid
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.grids.run import Run, make_run
from jaxopt_study.plots import labels

AXES = {
    "learning_rates": Axis("momentum_ema", "learning_rate", (0.01,)),
    "momenta": Axis("momentum_ema", "momentum", facts.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds in both formulations, and the plain form at the matched rates."""
    both = full_grid(AXES, "momentum", "momentum_ema")(values, seeds)
    matched = [
        make_run("momentum", {"learning_rate": matched_rate(rate, momentum), "momentum": momentum}, seed)
        for rate in values["learning_rates"]
        for momentum in values["momenta"]
        for seed in range(seeds)
    ]
    return both + matched


def matched_rate(rate: float, momentum: float) -> float:
    """The rate of the plain form that does the same, without the last digits of 1 - 0.9."""
    return float(f"{rate * (1 - momentum):.9g}")


# What the article claims.

DIFFERENT = 1.05
"""Ratio after one epoch up to which two runs are taken to be of one update rule: what is made of rounding is as often
above as below, and averages out over seeds."""
_CURVES = ("train_loss", "update_size")


def a1(runs: Runs) -> Verdict:
    """Trend of the mean training loss over momentum."""
    cells = along(runs, "momentum_ema", "momentum", facts.MOMENTA, learning_rate=0.01)
    epochs = horizon(cells)
    meaning = f"mean training loss of the first {epochs} epochs"
    part = trend(cells, lambda run: mean_loss(runs, run, epochs), meaning, rises=True)
    return decide([part._replace(no_interval=partly_learning(runs, cells))])


def a2(runs: Runs) -> Verdict:
    """The first epoch of both formulations at matched rates, configuration by configuration; each curve is a part."""
    pairs = [(cell, twin) for cell in family(runs, "momentum_ema") for twin in _twins(runs, cell)]
    if not pairs:
        raise NotApplicable("grid does not cover it: no momentum at (1 - momentum) times a rate of momentum_ema")
    return decide([_same(cell, twin, curve) for cell, twin in pairs for curve in _CURVES])


def _twins(runs: Runs, cell: Cell) -> list[Cell]:
    """The plain form at the rate at which it computes the same, if it was run with one of the seeds."""
    momentum = cell.hyperparameters["momentum"]
    rate = cell.hyperparameters["learning_rate"] * (1 - momentum)
    cells = runs.cells("momentum", learning_rate=rate, momentum=momentum)
    return [twin for twin in cells if twin.by_seed.keys() & cell.by_seed.keys()]


def _same(cell: Cell, twin: Cell, curve: str) -> Part:
    """That the ratio of what both have in the first epoch is 1: two one-sided tests.

    In that epoch training makes of rounding what it likes, in either direction; what it adds up to over the seeds is
    nothing if the rules are one. Equal numbers are known to float32's digits.
    """
    first = by_seed([cell, twin], lambda run: float(run.curves[curve][0]))
    values = [over(*pair) for pair in first.tolist()]
    meaning = f"{labels.measure(curve)} in epoch 1: {cell.label} over {twin.label}"
    step = float(np.finfo(np.float32).eps)
    return Part(meaning, values, 1 / DIFFERENT, DIFFERENT, ratio=True, step=step, cells=[cell, twin])


CLAIMS = (
    Claim("A1", "Averaged momentum: here higher momentum slows convergence (at 0.01).", 19, a1,
          {"learning_rate": 0.01}),
    Claim("A2", "Averaged momentum: it is the first formulation with every velocity scaled by (1 - momentum), "
          "so that it equals plain momentum at (1 - momentum) times the rate.", 20, a2, of_rules=True),
)  # fmt: skip

# Its figures.

FIGURES = (
    figures.curves(19, "momentum_ema", "Training and validation loss of SGD with averaged momentum at {}.",
                   figures.Wanted(0.01), shows="loss_by_momentum", by="momentum"),
    (20, partial(figures.velocity_picture, number=20, ema=True)),
)  # fmt: skip

EXPERIMENT = Experiment(
    "momentum_formulations", "The two formulations of momentum", AXES, make_runs,
    section="The other formulation of momentum", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
