"""Claims of section 4: Nesterov momentum against plain momentum."""

from collections.abc import Sequence

from experiments.article import facts as article
from experiments.article.claim import Claim
from experiments.article.find import (
    cell,
    common_seeds,
    family,
    horizon,
    require_learning,
)
from experiments.article.verdict import Part, Undecided, Verdict, decide
from jaxopt_study.analysis import (
    Cell,
    Ratio,
    Runs,
    convergence_ratio,
    convergence_table,
    losses,
)
from jaxopt_study.analysis.speed import FASTER, NEITHER, TOO_SHORT

_LEAST = len(article.SGD_RATES) * (len(article.MOMENTA) - 1) // 2
"""Half of the article's cells with momentum: fewer say nothing of "most cases"."""

_MOST = 0.5


def n1(runs: Runs) -> Verdict:
    """Share of the cells, without those where neither converges, in which it is faster on training loss."""
    return _most(runs, "train_loss")


def n2(runs: Runs) -> Verdict:
    """The same on validation loss."""
    return _most(runs, "val_loss")


def n3(runs: Runs) -> Verdict:
    """Convergence ratio on training loss of one configuration."""
    numbers = {"learning_rate": article.SMALL_RATE, "momentum": 0.95}
    plain, ours = cell(runs, "momentum", **numbers), cell(runs, "nesterov", **numbers)
    epochs = horizon([plain, ours])
    values = []
    for seed in common_seeds([plain, ours]):
        curves = [losses(each.by_seed[seed], "train_loss") for each in (plain, ours)]
        ratio = convergence_ratio(curves[0], curves[1], after=epochs).ratio
        values.append(min(ratio, (len(curves[1]) + 1) / epochs))
    meaning = f"convergence ratio on training loss after {epochs} epochs: {ours.label} over momentum"
    return decide([Part(meaning, values, low=0.0, high=1.0, ratio=True)])


def _most(runs: Runs, curve: str) -> Verdict:
    require_learning(runs, curve)
    epochs = horizon(_shared(runs))
    table = convergence_table(runs, curve, after=epochs)
    if len(table) < _LEAST:
        raise Undecided(f"grid does not cover it: {len(table)} cells with momentum, {_LEAST} are needed")
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in table.values())))
    if not seeds:
        raise Undecided("too few seeds: none in common for all cells")
    shares = [_share([by_seed[seed] for by_seed in table.values()]) for seed in seeds]
    meaning = f"share of {len(table)} cells in which Nesterov is faster, {curve} after {epochs} epochs"
    return decide([Part(meaning, shares, low=_MOST, note="cells where neither converges are left out")])


def _shared(runs: Runs) -> list[Cell]:
    pairs = [[*runs.cells("momentum", **each.hyperparameters), each] for each in family(runs, "nesterov")]
    shared = [each for pair in pairs if len(pair) > 1 for each in pair]
    if not shared:
        raise Undecided("grid does not cover it: no configuration run with both momentum and nesterov")
    return shared


def _share(ratios: Sequence[Ratio]) -> float:
    judged = [ratio.category for ratio in ratios if ratio.category not in (NEITHER, TOO_SHORT)]
    return judged.count(FASTER) / len(judged) if judged else float("nan")


CLAIMS = (
    Claim("N1", "Nesterov: faster than momentum on training loss in most cases (more than half).", 25, n1),
    Claim("N2", "Nesterov: faster than momentum on validation loss in most cases (more than half).", 25, n2),
    Claim("N3", "Nesterov: at learning rate 0.001 and momentum 0.95, faster than momentum.", 23, n3),
)
