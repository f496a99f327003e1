"""Claims of section 7: Adagrad, against SGD at the same rates."""

import math

import numpy as np

from experiments.article import facts as article
from experiments.article.claim import Claim
from experiments.article.find import (
    best,
    cell,
    common_seeds,
    diverged,
    horizon,
)
from experiments.article.parts import (
    early,
    late,
    over,
    slower,
    tenth,
)
from experiments.article.rates import HALF_STEP, ratio_of_best_rates
from experiments.article.verdict import Part, Verdict, decide
from jaxopt_study.analysis import Runs, losses
from jaxopt_study.history import History

KEEPS_UP = 1.05
"""Training loss over SGD's up to which Adagrad keeps up."""


def g1(runs: Runs) -> Verdict:
    """Training loss over SGD's in the first and the last tenth of the epochs that both have."""
    cells = [cell(runs, optimizer, learning_rate=article.SMALL_RATE) for optimizer in ("adagrad", "sgd")]
    horizon(cells)
    pairs = [[each.by_seed[seed] for each in cells] for seed in common_seeds(cells)]
    first = [_ratio(runs, *pair, last=False) for pair in pairs]
    last = [_ratio(runs, *pair, last=True) for pair in pairs]
    meaning = "training loss of adagrad over that of sgd at 0.001, {} tenth of the epochs"
    return decide(
        [
            Part(meaning.format("last"), last, low=1.0, ratio=True, note=diverged(cells)),
            Part(meaning.format("first"), first, low=0.0, high=KEEPS_UP, ratio=True),
        ]
    )


def _ratio(runs: Runs, ours: History, plain: History, *, last: bool) -> float:
    epochs = min(ours.epochs, plain.epochs)
    part = slice(epochs - tenth(epochs), epochs) if last else slice(0, tenth(epochs))
    curves = [losses(run, "train_loss")[part] for run in (ours, plain)]
    first, second = (float(np.where(np.isfinite(curve), curve, runs.chance).mean()) for curve in curves)
    return over(first, second)


def g2(runs: Runs) -> Verdict:
    """SGD against Adagrad, both at 0.316."""
    plain, ours = (cell(runs, name, learning_rate=article.LARGE_ADAGRAD_RATE) for name in ("sgd", "adagrad"))
    return decide([slower(runs, plain, ours)])


def g3(runs: Runs) -> Verdict:
    """Ratio of the best rates, bounded half a step below ten."""
    return decide([ratio_of_best_rates(runs, "adagrad", 10 / HALF_STEP, math.inf)])


def g4(runs: Runs) -> Verdict:
    """Update size of the best rate in the last tenth of the epochs over that in the first."""
    ours = best(runs, "adagrad")
    horizon([ours])
    values = [
        over(late(run, "update_size"), early(run, "update_size", tenth(run.epochs))) for run in ours.by_seed.values()
    ]
    meaning = f"update size in the last tenth of the epochs over that in the first: {ours.label}"
    return decide([Part(meaning, values, low=0.0, high=1.0, ratio=True, note=diverged([ours]))])


CLAIMS = (
    Claim("G1", "Adagrad: at 0.001 it keeps up with SGD at first (within 5%), then falls behind.", 40, g1),
    Claim("G2", "Adagrad: at learning rate 0.316 it converges faster than SGD.", 41, g2),
    Claim("G3", "Adagrad: its best learning rate is at least 10 times SGD's.", 42, g3),
    Claim("G4", "Adagrad: its updates shrink over time.", 39, g4),
)
