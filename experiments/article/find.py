"""The configurations and runs that a claim speaks of; where there are none, ``Undecided`` is raised with the reason."""

import functools
import math
from collections.abc import Iterable, Sequence

from experiments.article import facts as article
from experiments.article.part import NotApplicable, Undecided
from jaxopt_study.analysis.best import halfway, held_out_cell
from jaxopt_study.analysis.minima import settled
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.history import History

MIN_EPOCHS = 10
"""Fewest epochs over which speed is compared."""

SPEED_EPOCHS = 50
"""Most epochs over which speed is compared: the article's own choice for its convergence ratio."""


class ArticleRuns(Runs):
    """Runs as the claims read them: numbers that a grid leaves alone are the article's.

    ``chance`` is the loss of guessing, the natural logarithm of the number of classes; ``article_data`` is whether data
    and network are the article's, at whatever image size, so that its claims speak of them; ``article_setup`` whether
    the size is too, so that absolute losses compare. ``most_seeds`` is how many seeds a configuration may get at most
    where the study looks after every seed; None where it looks once. ``replicates`` are those of all its runs, in
    ascending order.
    """

    def __init__(
        self,
        histories: Iterable[History],
        *,
        chance: float = math.log(2),
        article_data: bool = False,
        article_setup: bool = False,
        most_seeds: int | None = None,
    ) -> None:
        histories = list(histories)
        super().__init__(histories, chance=chance, defaults=article.DEFAULTS)
        self.article_data = article_data or article_setup
        self.article_setup, self.most_seeds = article_setup, most_seeds
        self.replicates = sorted({run.replicate for run in histories})


def cell(runs: Runs, optimizer: str, **numbers: float) -> Cell:
    """The one configuration with these numbers, Keras's defaults for the others."""
    wanted = {**runs.defaults.get(optimizer, {}), **numbers}
    cells = runs.printed(optimizer, **wanted)
    if not cells:
        failed = " (it failed)" if any(run.optimizer == optimizer for run in runs.failed) else ""
        raise NotApplicable(f"grid does not cover it: no run of {runs.describe(optimizer, wanted)}{failed}")
    return cells[0]


def family(runs: Runs, optimizer: str, **numbers: float) -> list[Cell]:
    """All configurations of a rule with these numbers; those with momentum 0 belong to plain SGD alone."""
    cells = runs.family(optimizer, **runs.meant(optimizer, numbers))
    if not cells:
        raise NotApplicable(f"grid does not cover it: no run of {runs.describe(optimizer, numbers)}")
    return cells


def best(runs: Runs, optimizer: str, **numbers: float) -> Cell:
    """The configuration of a rule with the smallest mean validation loss, one with momentum 0 left out.

    Its runs are those that :func:`jaxopt_study.analysis.best.held_out` tells of it.
    """
    return _best(runs, optimizer, tuple(numbers.items()))


@functools.lru_cache(maxsize=128)
def _best(runs: Runs, optimizer: str, numbers: tuple[tuple[str, float], ...]) -> Cell:
    return held_out_cell(family(runs, optimizer, **dict(numbers)))


def along(runs: Runs, optimizer: str, name: str, values: Iterable[float], **numbers: float) -> list[Cell]:
    """The configurations at those of ``values`` that were run, in their order; at least three, for a trend."""
    wanted = {**runs.defaults.get(optimizer, {}), **numbers}
    cells = [printed[0] for value in values if (printed := runs.printed(optimizer, **{**wanted, name: value}))]
    if len(cells) < 3:
        where = runs.describe(optimizer, numbers)
        raise NotApplicable(f"grid does not cover it: {len(cells)} values of {name} for {where}, 3 are needed")
    return cells


def common_seeds(cells: Sequence[Cell]) -> list[int]:
    """The seeds that all configurations have."""
    seeds = sorted(set.intersection(*(set(config.by_seed) for config in cells)))
    if not seeds:
        raise Undecided(f"too few seeds: none in common for {', '.join(config.label for config in cells)}")
    return seeds


def lasting(cells: Sequence[Cell]) -> int:
    """The epochs that all runs have, diverged ones apart; at least 10."""
    trained = [run.epochs for config in cells for run in config.by_seed.values() if run.status != "diverged"]
    if not trained:
        raise NotApplicable(f"all runs diverged: {', '.join(config.label for config in cells)}")
    if min(trained) < MIN_EPOCHS:
        raise NotApplicable(f"too few epochs: {min(trained)} trained, {MIN_EPOCHS} are needed to compare speeds")
    return min(trained)


def horizon(cells: Sequence[Cell]) -> int:
    """Epochs over which speeds are compared: those that all runs have, diverged ones apart, 10 to 50."""
    return min(lasting(cells), SPEED_EPOCHS)


def unsettled(cells: Sequence[Cell]) -> str:
    """Why minima of these configurations cannot be compared yet; empty if they can."""
    moving = {config.label: run for config in cells for run in config.by_seed.values() if not settled(run)}
    if not moving:
        return ""
    first, run = next(iter(moving.items()))
    others = f" and {len(moving) - 1} more" if len(moving) > 1 else ""
    cut = "was cut off by successive halving after" if run.status == "halved" else "was still improving shortly before"
    ended = "" if run.status == "halved" else " ended"
    return f"too few epochs: {first}{others} {cut} its {run.epochs} epochs{ended}"


def diverged(cells: Sequence[Cell]) -> str:
    """Which of the configurations have runs that diverged, in words; empty if none."""
    lost = {config.label: [run.status for run in config.histories] for config in cells}
    return ", ".join(
        f"{label} diverged in {ended.count('diverged')} of {len(ended)} seeds"
        for label, ended in lost.items()
        if "diverged" in ended
    )


def require_learning(runs: Runs, curve: str = "val_loss") -> None:
    """Refuses to speak of convergence where no configuration gets a tenth below the loss of guessing."""
    if math.isnan(halfway(runs, curve)):
        raise NotApplicable("nothing converges: no configuration gets a tenth below the loss of guessing")
