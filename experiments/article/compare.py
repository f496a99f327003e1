"""Claims of section 9: the optimizers beside each other, each with its best run."""

import functools
import math

import numpy as np

from experiments.article import facts as article
from experiments.article.adam import slower_to
from experiments.article.claim import Claim
from experiments.article.find import (
    best,
    cell,
    common_seeds,
    family,
    unsettled,
)
from experiments.article.parts import higher_minimum, later_minimum, slower
from experiments.article.rates import rates
from experiments.article.verdict import (
    Part,
    Undecided,
    Verdict,
    attempt,
    both,
    decide,
)
from jaxopt_study.analysis import (
    Cell,
    Runs,
    best_cell,
    lowest,
    mean_lowest,
    variance_shares,
)

_ALL = tuple(run.optimizer for run in article.BEST_RUNS)
_FOLLOWERS = ("nesterov", "adam", "momentum", "rmsprop")
_LAST = ("adagrad", "cyclical")

CLOSE = 0.05
"""Relative distance from their geometric mean within which losses are close together."""

_LEAST_OPTIMIZERS = 4


def x1(runs: Runs) -> Verdict:
    """Every other optimizer against SGD."""
    first = best(runs, "sgd")
    return decide([attempt(lambda o: higher_minimum(runs, best(runs, o), first), o) for o in _without("sgd")])


def x2(runs: Runs) -> Verdict:
    """Each of the four over their mean, and their mean against SGD."""
    cells = [best(runs, optimizer) for optimizer in _FOLLOWERS]
    plain = best(runs, "sgd")
    seeds = common_seeds([*cells, plain])
    losses = np.array([[lowest(runs, each.by_seed[seed]) for each in cells] for seed in seeds])
    first = np.array([lowest(runs, plain.by_seed[seed]) for seed in seeds])
    centre = np.exp(np.log(np.maximum(losses, np.finfo(np.float64).tiny)).mean(axis=1))
    moving = unsettled([*cells, plain])
    meaning = "smallest validation loss over the mean of nesterov, adam, momentum and rmsprop"
    limits = (1 / (1 + CLOSE), 1 + CLOSE)
    parts = [
        Part(f"{meaning}: {each.label}", (column / centre).tolist(), *limits, ratio=True)
        for each, column in zip(cells, losses.T, strict=True)
    ]
    behind = "mean smallest validation loss of nesterov, adam, momentum and rmsprop minus sgd's"
    parts.append(Part(behind, (losses.mean(axis=1) - first).tolist()))
    return decide([part._replace(no_support=moving, no_contradiction=moving) for part in parts])


def x3(runs: Runs) -> Verdict:
    """Each of the two against the worst of the other five."""
    others = [best(runs, optimizer) for optimizer in _ALL if optimizer not in _LAST]
    worst = max(others, key=lambda each: mean_lowest(runs, each))
    return decide([attempt(lambda o: higher_minimum(runs, best(runs, o), worst), o) for o in _LAST])


def x4(runs: Runs) -> Verdict:
    """Every other optimizer against Adam, and SGD against every other but Adam."""
    first = [attempt(lambda o: later_minimum(best(runs, o), best(runs, "adam")), o) for o in _without("adam")]
    last = [attempt(lambda o: later_minimum(best(runs, "sgd"), best(runs, o)), o) for o in _without("adam", "sgd")]
    return decide([*first, *last])


def x5(runs: Runs) -> Verdict:
    """Epochs to the worst of the optimizers' best losses, every other optimizer over Adam."""
    target = max(mean_lowest(runs, best(runs, optimizer)) for optimizer in _ALL)
    return decide([attempt(functools.partial(slower_to, runs, target), other) for other in _without("adam")])


def x6(runs: Runs) -> Verdict:
    """SGD against the best momentum at 0.01."""
    return decide([slower(runs, cell(runs, "sgd", learning_rate=0.01), best(runs, "momentum", learning_rate=0.01))])


def x7(runs: Runs) -> Verdict:
    """The learning rate's share of the variance, over the optimizers with three rates or more."""
    table: dict[str, list[Cell]] = {}
    for optimizer in _without("cyclical"):
        try:
            table[optimizer] = _window(runs, rates(runs, optimizer))
        except Undecided:
            continue
    if len(table) < _LEAST_OPTIMIZERS:
        raise Undecided(f"grid does not cover it: {len(table)} optimizers with a range of rates, 4 are needed")
    cells = [each for window in table.values() for each in window]
    values = [_rate_share(runs, table, seed) for seed in common_seeds(cells)]
    moving = unsettled(cells)
    meaning = f"learning rate's share of the variance (within a decade of the best) over {', '.join(table)}"
    return decide([Part(meaning, values, low=0.5, no_support=moving, no_contradiction=moving)])


def _window(runs: Runs, cells: list[Cell]) -> list[Cell]:
    centre = best_cell(cells).hyperparameters["learning_rate"]
    near = [each for each in cells if abs(math.log10(each.hyperparameters["learning_rate"] / centre)) <= 1.01]
    if len(near) < 3:
        raise Undecided("grid does not cover it: fewer than three rates within a decade of the best")
    return near


def _rate_share(runs: Runs, table: dict[str, list[Cell]], seed: int) -> float:
    losses = {
        optimizer: {each.hyperparameters["learning_rate"]: lowest(runs, each.by_seed[seed]) for each in cells}
        for optimizer, cells in table.items()
    }
    return variance_shares(losses, decades=math.inf).learning_rate


def x8(runs: Runs) -> Verdict:
    """Whether some other rho and some other betas beat the default; every one that was run is a part."""
    rho = _some_better(runs, "rmsprop", cell(runs, "rmsprop", learning_rate=0.001))
    betas = _some_better(runs, "adam", cell(runs, "adam", learning_rate=0.001))
    return both(rho, betas)


def _some_better(runs: Runs, optimizer: str, default: Cell) -> Verdict:
    eps = default.hyperparameters["eps"]
    others = [each for each in family(runs, optimizer, learning_rate=0.001, eps=eps) if each is not default]
    if not others:
        raise Undecided(f"grid does not cover it: {optimizer} at 0.001 was run with the default numbers only")
    return decide([attempt(higher_minimum, runs, default, other) for other in others], some=True)


def _without(*names: str) -> list[str]:
    return [optimizer for optimizer in _ALL if optimizer not in names]


CLAIMS = (
    Claim("X1", "Comparison: plain SGD has the best validation loss, clearly.", 45, x1),
    Claim("X2", "Comparison: Nesterov, Adam, momentum and RMSprop follow close together (within 5%).", 45, x2),
    Claim("X3", "Comparison: Adagrad and the cyclical rate are last.", 45, x3),
    Claim("X4", "Comparison: Adam needs the fewest epochs to its minimum, SGD the most.", 47, x4),
    Claim("X5", "Comparison: Adam is first to reach the worst of the seven minima (0.2318 in the article).", 48, x5),
    Claim("X6", "Comparison: at the same rate (0.01) momentum does speed SGD up.", 49, x6),
    Claim("X7", "Comparison: the learning rate matters more than the choice of optimizer.", 45, x7),
    Claim("X8", "Comparison: non-default rho and beta values are worth trying (some beat the default).", 37, x8),
)
