"""Why does momentum 0.99 fail at a rate of 0.01: is it the effective rate? (left open by the article)

    python -m experiments.effective_rate                      # scikit-learn's digits, about two minutes on two cores
    python -m experiments.effective_rate --preset=article     # cats_vs_dogs at 128 x 128, until the patience runs out

Under a constant gradient the velocity grows to rate / (1 - momentum) gradients, in the average form to rate gradients.
With half decades and momentum 0, 0.9, 0.99 (and with 0.5, 0.95) equal effective rates occur exactly. Expected: the
lowest losses lie on one line over the effective rate and on several over the plain rate, so that 0.99 at 0.01 fails as
plain SGD at 1 does. Figure effective_rate and tables/effective_rate.csv.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from experiments.article import facts
from experiments.article.rates import effective_rate
from experiments.command import flags
from experiments.command.experiment import Answer, Axis, Experiment, Values
from jaxopt_study import plots
from jaxopt_study.analysis.intervals import Estimate, paired_differences, seed_estimate, seed_rows
from jaxopt_study.analysis.minima import lowest
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.grids.run import Run, product
from jaxopt_study.plots import labels
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "learning_rates": Axis("momentum", "learning_rate", facts.half_decades(-3, 0)),
    "momenta": Axis("momentum", "momentum", facts.MOMENTA),
}


def make_runs(values: Values, seeds: int) -> list[Run]:
    """Rates x momenta x seeds in both formulations; momentum 0, which has one, is trained once."""
    rates, momenta = values["learning_rates"], values["momenta"]
    plain = product("momentum", {"learning_rate": rates, "momentum": momenta}, seeds)
    above = [momentum for momentum in momenta if momentum > 0]
    return plain + product("momentum_ema", {"learning_rate": rates, "momentum": above}, seeds)


# The analysis.

PLAIN, AVERAGED = "momentum", "momentum_ema"
by_effective, by_rate = attrgetter("effective"), attrgetter("rate")
"""What losses may depend on, of a :class:`Point`."""


class Point(NamedTuple):
    """A configuration of momentum.

    Attributes:
        optimizer: the formulation; momentum 0 is plain SGD and counts as ``momentum``.
        rate: the learning rate.
        momentum: in [0, 1).
        effective: what the rate grows to under a constant gradient, to six digits so that equal ones compare equal.
        losses: the smallest validation loss without its own luck by seed, at most that of guessing.
        diverged: whether a seed did.
    """

    optimizer: str
    rate: float
    momentum: float
    effective: float
    losses: Mapping[int, float]
    diverged: bool

    @property
    def estimate(self) -> Estimate:
        """The mean loss over the seeds."""
        return seed_estimate(self.losses, positive=True)


def points(runs: Runs) -> list[Point]:
    """The configurations of both formulations that have no other numbers, those with momentum 0 once."""
    cells = runs.cells(PLAIN) + runs.family(AVERAGED)
    return [_point(runs, cell) for cell in cells if cell.hyperparameters.keys() == {"learning_rate", "momentum"}]


def _point(runs: Runs, cell: Cell) -> Point:
    rate, momentum = (cell.hyperparameters[name] for name in ("learning_rate", "momentum"))
    diverged = any(history.status == "diverged" for history in cell.histories)
    # The velocity of the average form never exceeds the gradient.
    effective = effective_rate(rate, 0.0 if cell.optimizer == AVERAGED else momentum)
    losses = cell.measured(partial(lowest, runs))
    return Point(cell.optimizer, float(f"{rate:.6g}"), float(f"{momentum:.6g}"), effective, losses, diverged)


def explained(values: ArrayLike, groups: Iterable[float]) -> float:
    """Share of the variance of ``[N]`` values that lies between groups, corrected for the number of groups.

    This is Kelley's epsilon squared: the plain share would reward whichever grouping has more groups. About 0 for
    groups that say nothing (it may come out below), 1 for groups within which the values are equal, NaN without any
    variance or with a group for every value.
    """
    value = np.asarray(values, np.float64)
    _, of = np.unique(np.asarray(list(groups)), return_inverse=True)
    total = float(((value - value.mean()) ** 2).sum())
    free = len(value) - (of.max() + 1)
    if total == 0 or free < 1:
        return float("nan")
    means = np.bincount(of, value) / np.bincount(of)
    within = float(((value - means[of]) ** 2).sum())
    return float(1 - (within / free) / (total / (len(value) - 1)))


def explained_by(configs: Sequence[Point], by: Callable[[Point], float], *, ranks: bool = False) -> Estimate:
    """Share of the variance of the losses that ``by`` explains: of each seed by itself, then mean.

    With ``ranks`` of the ranks of the losses, to which a few large ones are no more than others. Seeds that one of the
    configurations lacks are left out.
    """
    from scipy import stats  # takes its time to import

    rows = seed_rows([point.losses for point in configs])
    groups = [by(point) for point in configs]
    return seed_estimate({seed: explained(stats.rankdata(row) if ranks else row, groups) for seed, row in rows.items()})


def preference(configs: Sequence[Point]) -> Estimate:
    """How much better the effective rate foretells what another momentum does than the plain rate: from 0 to 1.

    For each configuration and each smaller momentum at which there is a run with the same rate and one with the same
    effective rate, the loss is compared with both. The number is the sum of the squared differences at the same rate
    over the sum of all: 1 if losses depend on the effective rate alone, 0 if on the plain rate alone, a half if either
    foretells as well. Both sides have the same pairs of momenta, which :func:`explained_by` cannot see to.
    NaN where there is no such configuration.
    """
    plain = [point for point in configs if point.optimizer == PLAIN]
    at_rate = {(point.rate, point.momentum): i for i, point in enumerate(plain)}
    at_effective = {(point.effective, point.momentum): i for i, point in enumerate(plain)}
    rows = [
        (i, at_rate[point.rate, other], at_effective[point.effective, other])
        for i, point in enumerate(plain)
        for other in sorted({smaller.momentum for smaller in plain if smaller.momentum < point.momentum})
        if (point.rate, other) in at_rate and (point.effective, other) in at_effective
    ]
    if not rows:
        return seed_estimate({})
    larger, same_rate, same_effective = np.array(rows).T
    losses = seed_rows([point.losses for point in plain])
    shares = {
        seed: _share(row[larger] - row[same_rate], row[larger] - row[same_effective]) for seed, row in losses.items()
    }
    return seed_estimate(shares)


def _share(at_rate: np.ndarray, at_effective: np.ndarray) -> float:
    squares = float((at_rate**2).sum()), float((at_effective**2).sum())
    return squares[0] / sum(squares) if sum(squares) > 0 else float("nan")


def differences(configs: Sequence[Point]) -> list[tuple[Point, Point, Estimate]]:
    """Each momentum above 0, the smallest other one that has its effective rate, and what it loses more, by seed.

    The smallest is 0, plain SGD, wherever the grid has it.
    """
    plain = sorted((p for p in configs if p.optimizer == PLAIN), key=lambda p: (p.momentum, p.effective))
    pairs = [(point, next(other for other in plain if other.effective == point.effective)) for point in plain]
    return [
        (point, base, seed_estimate(paired_differences(point.losses, base.losses)))
        for point, base in pairs
        if base.momentum < point.momentum
    ]


def formulations_apart(configs: Sequence[Point]) -> Estimate:
    """Mean absolute difference between the two formulations at the same effective rate and momentum, by seed.

    They compute the same weights there up to rounding, which training amplifies. NaN if there are no such two.
    """
    plain = {(p.effective, p.momentum): p for p in configs if p.optimizer == PLAIN}
    twins = [(p, plain[p.effective, p.momentum]) for p in configs if p.optimizer == AVERAGED
             and (p.effective, p.momentum) in plain]  # fmt: skip
    if not twins:
        return seed_estimate({})
    apart = seed_rows([paired_differences(point.losses, twin.losses) for point, twin in twins])
    return seed_estimate({seed: float(np.abs(row).mean()) for seed, row in apart.items()})


# The figure.

_FORMS = {PLAIN: ("-", None), AVERAGED: ((0, (1.4, 1.4)), "white")}
"""Line and filling of the markers, by formulation."""


def picture(source: plots.picture.Source) -> plots.picture.Picture:
    """A line a momentum and formulation, over the effective rate and over the rate.

    Raises:
        NotDrawable: the runs have no two momenta.
    """
    configs = points(source.runs)
    momenta = sorted({point.momentum for point in configs})
    if len(momenta) < 2:
        raise NotDrawable("it compares momenta, and the runs have fewer than two")
    estimates = [point.estimate for point in configs]
    title = "Momentum: lowest validation loss over the effective rate and over the learning rate"
    with plots.style.applied():
        figure, axes = plots.style.panels(2, title, right=plots.estimates.LEGEND)
        _panel(axes[0], configs, momenta, by_effective, "effective rate (see the caption)")
        _panel(axes[1], configs, momenta, by_rate, "learning rate")
        for panel in axes:
            plots.estimates.losses(panel, estimates, source.chance)
            panel.set_ylabel(f"lowest validation loss, without\nits own luck ({labels.LOSS_UNIT})")
        plots.style.legend(figure, axes[1], "momentum", width=plots.estimates.LEGEND - 0.05)
    numbers = _numbers([point for point in configs if point.optimizer == PLAIN])
    caption = (
        "The effective rate is rate / (1 - momentum); in the average form (open markers, dotted) it is the rate. "
        f"{numbers} Losses are those of the epochs beside the lowest. A cross marks where a seed diverged, the dotted "
        "line is guessing. "
        f"{plots.estimates.seeds(estimates)}"
    )
    alt = f"Line chart in two panels, lines for momentum {labels.listing(labels.numbers(momenta))}. {numbers}"
    return plots.picture.Picture("effective_rate", figure, caption, alt)


def _panel(
    axes: Axes, configs: Sequence[Point], momenta: Sequence[float], by: Callable[[Point], float], name: str
) -> None:
    for form, (line, inside) in _FORMS.items():
        for momentum, look in zip(momenta, plots.style.ordered_looks(len(momenta)), strict=True):
            shown = sorted((p for p in configs if p.optimizer == form and p.momentum == momentum), key=by)
            if shown:
                plots.estimates.marks(
                    axes, list(map(by, shown)), [point.estimate for point in shown], color=look.color,
                    marker=look.marker, linestyle=line, markerfacecolor=inside or look.color, linewidth=1.3,
                    markersize=8 if inside else 4.5, zorder=2 if inside else 3,
                    label=labels.number(momentum) + (" (average form)" if form == AVERAGED else ""),
                )  # fmt: skip
    plots.estimates.crosses(axes, sorted({by(point) for point in configs if point.diverged}))
    plots.estimates.positions(axes, [by(point) for point in configs], name)


def _numbers(plain: Sequence[Point]) -> str:
    effective, rate = (explained_by(plain, by, ranks=True) for by in (by_effective, by_rate))
    return (
        "Of the variance of the ranks of the losses, within the first formulation, the effective rate explains "
        f"{plots.estimates.interval(effective)}, the learning rate {plots.estimates.interval(rate)}; compared at "
        f"the same pairs of momenta, the preference for the effective rate, from 0 to 1, is "
        f"{plots.estimates.interval(preference(plain))}."
    )


# The table.


def table(source: plots.picture.Source) -> Answer:
    """Shares of variance that the effective and the plain rate explain, and each momentum against plain SGD."""
    configs = points(source.runs)
    plain = [point for point in configs if point.optimizer == PLAIN]
    rows: list[tuple[str | float | None, ...]] = []
    for of, which in (("momentum", plain), ("both formulations", configs)):
        for ranks in (False, True):
            what = f"share of variance of {'ranks' if ranks else 'losses'} explained"
            for name, by in (("effective rate", by_effective), ("learning rate", by_rate)):
                rows.append((f"{what} by {name}", of, None, None, None, *explained_by(which, by, ranks=ranks)))
    rows.append(("preference for effective rate", "momentum", None, None, None, *preference(configs)))
    rows.append(("formulations apart", "both formulations", None, None, None, *formulations_apart(configs)))
    for point, base, more in differences(configs):
        keys = ("difference at equal effective rate", "momentum", point.momentum, base.momentum, point.effective)
        rows.append((*keys, *more))
    return ("quantity", "of", "momentum", "against", "effective_rate", *Estimate._fields), rows


EXPERIMENT = Experiment(
    "effective_rate", "Momentum and the effective rate", AXES, make_runs,
    figures=((0, picture),), table=table,
)  # fmt: skip

main = flags.command(EXPERIMENT)

if __name__ == "__main__":
    main()
