"""What changes where the velocity is an average of the gradients? (section 3 of the article)

    python -m experiments.momentum_formulations                      # scikit-learn's digits, half a minute on two cores
    python -m experiments.momentum_formulations --preset=article     # cats_vs_dogs at 128 x 128

Besides both formulations at the same numbers it trains plain momentum at (1 - momentum) times the rate, which computes
the same weights as the average form. Expected: in the average form higher momentum slows convergence, and the two
formulations at matched rates agree up to rounding. Figures 19 and 20.
"""

from __future__ import annotations

import math
from functools import partial

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import along, family, horizon
from experiments.article.parts import mean_loss, trend
from experiments.article.verdict import CONTRADICTED, SUPPORTED, UNDECIDED, Undecided, Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, Values, full_grid
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.grids.run import Run, make_run

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

SAME = 0.01
"""Relative difference after one epoch up to which two runs of one update rule agree: rounding, which training grows."""
DIFFERENT = 0.05
"""Relative difference above which they are different rules."""
_CURVES = ("train_loss", "update_size")


def a1(runs: Runs) -> Verdict:
    """Trend of the mean training loss over momentum."""
    cells = along(runs, "momentum_ema", "momentum", facts.MOMENTA, learning_rate=0.01)
    epochs = horizon(cells)
    meaning = f"mean training loss of the first {epochs} epochs"
    return decide([trend(cells, lambda run: mean_loss(runs, run, epochs), meaning, rises=True)])


def a2(runs: Runs) -> Verdict:
    """Largest relative difference in the first epoch to the plain form at (1 - momentum) times the rate.

    The two are one rule run by run, so that no interval is needed: one pair can refute it.
    """
    differences = [gap for cell in family(runs, "momentum_ema") for gap in _gaps(runs, cell)]
    if not differences:
        raise Undecided("grid does not cover it: no run of momentum at (1 - momentum) times the rate of momentum_ema")
    largest = max(differences)
    verdict = SUPPORTED if largest <= SAME else CONTRADICTED if largest > DIFFERENT else UNDECIDED
    reason = f"an identity, judged pair by pair: {len(differences)} pairs of runs differ by at most {largest:.2g}; "
    reason += f"up to {SAME} is rounding, above {DIFFERENT} is another rule"
    meaning = "largest relative difference of training loss and update size in epoch 1, matched rates"
    return Verdict(verdict, largest, math.nan, math.nan, meaning, reason)


def _gaps(runs: Runs, cell: Cell) -> list[float]:
    momentum = cell.hyperparameters["momentum"]
    rate = cell.hyperparameters["learning_rate"] * (1 - momentum)
    gaps = []
    for twin in runs.cells("momentum", learning_rate=rate, momentum=momentum):
        for seed in sorted(cell.by_seed.keys() & twin.by_seed.keys()):
            pairs = [(cell.by_seed[seed].curves[name][0], twin.by_seed[seed].curves[name][0]) for name in _CURVES]
            if all(math.isfinite(value) for pair in pairs for value in pair):
                gaps.append(max(abs(a - b) / max(abs(a), abs(b), 1e-30) for a, b in pairs))
    return [float(gap) for gap in gaps]


CLAIMS = (
    Claim("A1", "Averaged momentum: here higher momentum slows convergence (at 0.01).", 19, a1,
          {"learning_rate": 0.01}),
    Claim("A2", "Averaged momentum: it is the first formulation with every velocity scaled by (1 - momentum), "
          "so that it equals plain momentum at (1 - momentum) times the rate.", 20, a2),
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
