"""How does momentum change training, and how does it depend on the learning rate? (section 2 of the article)

    python -m experiments.momentum_grid                      # scikit-learn's digits, under a minute on two cores
    python -m experiments.momentum_grid --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Expected: at a small rate momentum up to 0.9 speeds training up; the larger the rate, the narrower the range of momentum
that still converges. Figures 9 and 11 to 17.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from experiments.article import facts, figures
from experiments.article.claim import Claim
from experiments.article.find import along, best, cell, family, horizon, lasting, require_learning, unsettled
from experiments.article.part import NotApplicable, Part, attempt
from experiments.article.parts import (
    CONVERGED,
    by_seed,
    converges,
    early,
    higher_minimum,
    late,
    log,
    slower,
    tenth,
    trend,
)
from experiments.article.verdict import Verdict, decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study.analysis.best import progress
from jaxopt_study.analysis.runs import Cell, Runs

AXES = {
    "learning_rates": Axis("momentum", "learning_rate", facts.SGD_RATES),
    "momenta": Axis("momentum", "momentum", facts.MOMENTA),
}

# What the article claims.

_RATE = 0.01


def _at(runs: Runs, momentum: float, rate: float = _RATE) -> Cell:
    return cell(runs, "momentum", learning_rate=rate, momentum=momentum)


def _momenta(runs: Runs) -> list[Cell]:
    return along(runs, "momentum", "momentum", facts.MOMENTA, learning_rate=_RATE)


def m2(runs: Runs) -> Verdict:
    """0.95 against 0.9, and whether 0.99 converges."""
    worse = attempt(lambda: slower(runs, _at(runs, 0.95), _at(runs, 0.9)))
    return decide([worse, attempt(lambda: converges(runs, _at(runs, 0.99), claimed=False))])


def m3(runs: Runs) -> Verdict:
    """Trend of the oscillation over momentum."""
    cells = _momenta(runs)
    measure = partial(early, curve="oscillation", epochs=horizon(cells))
    return decide([trend(cells, measure, "share of parameters whose update changes sign", rises=False)])


def m4(runs: Runs) -> Verdict:
    """Trends of the logarithm of the update size over momentum, in the first and the last tenth of the epochs."""
    cells = _momenta(runs)
    epochs = tenth(lasting(cells))
    meaning = "logarithm of the {} update size"
    first = trend(cells, lambda run: log(early(run, "update_size", epochs)), meaning.format("early"), rises=True)
    last = trend(cells, lambda run: log(late(run, "update_size")), meaning.format("late"), rises=False)
    return decide([first, last.open_if(unsettled(cells))])


def m5(runs: Runs) -> Verdict:
    """Trend of the logarithm of the distance over momentum."""
    cells = _momenta(runs)
    epochs = horizon(cells)
    meaning = f"logarithm of the distance per epoch in the first {epochs} epochs"
    return decide([trend(cells, lambda run: log(early(run, "distance", epochs)), meaning, rises=True)])


def m6(runs: Runs) -> Verdict:
    """Whether plain SGD fails to converge at the rate and the best momentum does."""
    plain = attempt(lambda: converges(runs, _at(runs, 0.0, facts.SMALL_RATE), claimed=False))
    helped = attempt(lambda: converges(runs, best(runs, "momentum", learning_rate=facts.SMALL_RATE), claimed=True))
    return decide([helped, plain])


def m8(runs: Runs) -> Verdict:
    """Slopes of the share of momenta that converge over the rate, and of the share of rates over momentum."""
    require_learning(runs)
    momenta = [m for m in facts.MOMENTA if runs.printed("momentum", momentum=m)]
    rates = [r for r in facts.SGD_RATES if all(runs.printed("momentum", learning_rate=r, momentum=m) for m in momenta)]
    if len(rates) < 3 or len(momenta) < 3:
        raise NotApplicable("grid does not cover it: three rates at each of three momenta are needed")
    cells = [_at(runs, momentum, rate) for rate in rates for momentum in momenta]
    converged = by_seed(cells, lambda run: progress(runs, run) >= CONVERGED).reshape(-1, len(rates), len(momenta))
    failing = [config for config in cells if min(progress(runs, run) for run in config.histories) < CONVERGED]
    falls = [
        _falls("share of momenta that converge, change per decade of the learning rate",
               np.log10(rates), converged.mean(axis=2), len(momenta)),
        _falls("share of learning rates that converge, change per step of momentum",
               np.arange(len(momenta)), converged.mean(axis=1), len(rates)),
    ]  # fmt: skip
    moving = unsettled(failing)
    return decide([part._replace(cells=cells).open_if(moving) for part in falls])


def _falls(meaning: str, x: np.ndarray, shares_SX: np.ndarray, count: int) -> Part:
    """That the line through each seed's shares, each of ``count`` configurations, falls over ``x``.

    The step is what one configuration more at an end changes of the slope.
    """
    away = x - x.mean()
    slopes = shares_SX @ away / np.square(away).sum()
    step = float(np.abs(away).max() / np.square(away).sum()) / count
    return Part(meaning, slopes.round(9).tolist(), -math.inf, 0.0, step=step)


def m9(runs: Runs) -> Verdict:
    """Whether some momentum that converges ends higher than plain SGD at the same rate; each cell is a part."""
    require_learning(runs)
    parts = [
        attempt(higher_minimum, runs, config, plain)
        for config in family(runs, "momentum")
        if np.mean([progress(runs, run) for run in config.histories]) >= CONVERGED
        for plain in runs.cells("sgd", learning_rate=config.hyperparameters["learning_rate"])[:1]
    ]
    if not parts:
        raise NotApplicable("grid does not cover it: no momentum that converges beside plain SGD at the same rate")
    return decide(parts, some=True)


CLAIMS = (
    Claim("M1", "Momentum: at learning rate 0.01, momentum up to 0.9 converges faster than none.", 11,
          lambda runs: decide([attempt(lambda m: slower(runs, _at(runs, 0.0), _at(runs, m)), m) for m in (0.5, 0.9)]),
          {"learning_rate": 0.01, "largest momentum": 0.9}),
    Claim("M2", "Momentum: at 0.01, beyond momentum 0.9 it gets slower, and 0.99 does not converge.", 11, m2,
          {"learning_rate": 0.01, "momentum": 0.99}),
    Claim("M3", "Momentum: the higher the momentum, the lower the oscillation (at 0.01).", 12, m3),
    Claim("M4", "Momentum: the higher the momentum, the larger early updates and the smaller late ones.", 13, m4),
    Claim("M5", "Momentum: the higher the momentum, the larger the distance per epoch (at 0.01).", 14, m5),
    Claim("M6", "Momentum: at learning rate 0.001 it makes a run converge that did not without.", 15, m6,
          {"learning_rate": 0.001}),
    Claim("M7", "Momentum: at learning rate 0.1, momentum 0.9 and 0.95 diverge (do not converge).", 16,
          lambda runs: decide([attempt(lambda m: converges(runs, _at(runs, m, facts.SGD_RATES[-1]), claimed=False), m)
                               for m in (0.9, 0.95)]),
          {"learning_rate": 0.1, "smallest momentum": 0.9, "largest momentum": 0.95}),
    Claim("M8", "Momentum: the higher the rate, the fewer momenta converge, and the reverse.", 17, m8),
    Claim("M9", "Momentum: a better final loss is not guaranteed (some momentum that converges ends worse).", 17, m9,
          {"best val_loss with momentum": 0.2046, "best val_loss of SGD": 0.1899}),
)  # fmt: skip

# Its figures.


def _losses(number: int, rate: float) -> figures.Row:
    lead = "Training and validation loss of SGD with momentum at {}."
    at_rate = figures.Wanted(rate, others=(0.001, 0.01, 0.1))
    return figures.curves(number, "momentum", lead, at_rate, shows="loss_by_momentum", by="momentum")


def _diagnostic(number: int, metric: str, lead: str) -> figures.Row:
    lead, shows = f"{lead} Drawn at {{}}.", f"{metric}_by_momentum"
    at_rate = figures.Wanted(_RATE)
    return figures.curves(number, "momentum", lead, at_rate, shows=shows, by="momentum", metrics=[metric])


FIGURES = (
    (9, partial(figures.velocity_picture, number=9, ema=False)),
    _losses(11, 0.01),
    _diagnostic(12, "oscillation", "Share of the parameters whose update changed its sign since the step before."),
    _diagnostic(13, "update_size", "Mean absolute update of a parameter in a step."),
    _diagnostic(14, "distance", "Euclidean distance between the weights at the start and at the end of each epoch."),
    _losses(15, 0.001),
    _losses(16, 0.1),
    figures.table(17, "momentum", "Minimum training and validation loss of SGD with momentum over the grid.",
                  shows="minimum_loss_by_lr_and_momentum", x="momentum"),
)  # fmt: skip

EXPERIMENT = Experiment(
    "momentum_grid", "SGD with momentum", AXES, full_grid(AXES, "momentum"),
    section="SGD with momentum", claims=CLAIMS, figures=FIGURES,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
