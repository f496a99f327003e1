"""The shapes that the article's figures share, as rows of a chapter's FIGURES, and those computed from no run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.article import facts
from jaxopt_study import plots
from jaxopt_study.analysis.runs import nearest, stands_for
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Row = tuple[int, plots.picture.Recipe]


def at(
    histories: Sequence[History], wanted: float, *, others: Sequence[float] = (), name: str = "learning_rate"
) -> plots.picture.Held:
    """The value of a grid that is nearest to the one that the article draws a figure at.

    ``others`` are the values that sister figures want; a value that stands nearer to one of them is theirs.

    Raises:
        NotDrawable: if there is no value, or the figure would repeat a sister.
    """
    present = selection.values(histories, name)
    if not present:
        raise NotDrawable(f"no run that it could show has a {labels.hyperparameter(name)}")
    used = nearest(present, wanted)
    for other in others:
        if nearest(present, other) == used and _distance(used, other) < _distance(used, wanted):
            *has, printed = labels.numbers([*present, wanted])
            raise NotDrawable(
                f"the article draws it at {labels.hyperparameter(name)} {printed}, the grid has {labels.listing(has)}, "
                f"and the nearest of these is shown in the figure for {labels.number(other)}"
            )
    near = stands_for(name, used, wanted)
    return plots.picture.Held(name, used, "" if near else f"nearest to the article's {labels.number(wanted)}")


def _distance(used: float, wanted: float) -> float:
    return abs(math.log(used / wanted)) if used > 0 < wanted else abs(used - wanted)


class Wanted(NamedTuple):
    """A value of a hyperparameter at which the article draws a figure; ``others`` as in :func:`at`."""

    value: float
    name: str = "learning_rate"
    others: Sequence[float] = ()
    exact: bool = False
    """Whether no other value will do."""


def chosen(
    source: plots.picture.Source, rule: str, wanted: Sequence[Wanted]
) -> tuple[list[History], list[plots.picture.Held]]:
    """The runs of a rule at the values of its grid that stand for the article's, and these values.

    Raises:
        NotDrawable: there are none.
    """
    runs, held = selection.of_rule(source.histories, rule), list[plots.picture.Held]()
    for value, name, others, exact in wanted:
        held.append(at(runs, value, others=others, name=name))
        if exact and held[-1].used != value:
            where = f"{labels.hyperparameter(name)} {labels.number(value)}"
            raise NotDrawable(f"it shows {labels.optimizer(rule)} at {where}, which the grid does not have")
        runs = selection.matching(runs, {name: held[-1].used})
    return runs, held


def curves(
    number: int, rule: str, lead: str, *wanted: Wanted, shows: str, by: str | Sequence[str],
    metrics: Sequence[str] = labels.LOSSES, beside: str = "",
) -> Row:  # fmt: skip
    """Curves over the epochs, a panel a metric, one line a value of ``by``; see ``plots.picture.curve_picture``.

    ``lead`` is the first sentence of the caption, with ``{}`` for each value that is ``wanted``; ``beside`` is another
    rule that is shown at the same values.
    """

    def draw(source: plots.picture.Source) -> plots.picture.Picture:
        runs, held = chosen(source, rule, wanted)
        both = source.of([*selection.of_rule(source.histories, beside), *runs] if beside else runs)
        return plots.picture.curve_picture(
            number, both, _caption(lead, held), shows=shows, by=by, held=held, metrics=metrics
        )

    return number, draw


def minima(number: int, rule: str, lead: str, *wanted: Wanted) -> Row:
    """Minimum losses of a rule over its learning rate; arguments as of :func:`curves`."""

    def draw(source: plots.picture.Source) -> plots.picture.Picture:
        runs, held = chosen(source, rule, wanted)
        caption, shows = _caption(lead, held), "minimum_loss_by_lr"
        return plots.picture.minimum_picture(number, source.of(runs), caption, shows=shows, by="learning_rate")

    return number, draw


def table(number: int, rule: str, lead: str, *wanted: Wanted, shows: str, x: str, y: str = "learning_rate") -> Row:
    """Minimum losses of a rule over ``x`` (columns) and ``y`` (rows); other arguments as of :func:`curves`."""

    def draw(source: plots.picture.Source) -> plots.picture.Picture:
        runs, held = chosen(source, rule, wanted)
        caption = _caption(lead, held)
        return plots.picture.table_picture(number, source.of(runs), caption, shows=shows, x=x, y=y, held=held)

    return number, draw


def _caption(lead: str, held: Sequence[plots.picture.Held]) -> str:
    return lead.format(*(value.title for value in held))


STEPS = 300
"""Steps over which velocities are shown."""


def velocity_picture(source: plots.picture.Source, *, number: int, ema: bool) -> plots.picture.Picture:
    """The velocity under a constant gradient, for the momenta of the runs."""
    momenta = sorted({0.0, *selection.values(source.histories, "momentum")})
    momenta = momenta if len(momenta) > 1 else list(facts.MOMENTA)
    grows = "tends to the gradient and never exceeds it" if ema else "grows to rate x gradient / (1 - momentum)"
    caption = f"Computed, no training: under a constant gradient the velocity {grows} (dotted)."
    shown = labels.listing(labels.numbers(momenta))
    alt = f"Line chart of the velocity over {STEPS} steps, momentum {shown}: it {grows}; "
    alt += "the higher the momentum, the later."
    name = f"fig{number:02d}_velocity_constant_gradient"
    return plots.picture.Picture(name, constant_gradient(momenta, ema=ema), caption, alt)


def constant_gradient(momenta: Sequence[float], *, ema: bool) -> Figure:
    """Velocity over the steps while the gradient stays the same, one line a momentum in [0, 1), with its limit dotted.

    With ``ema`` in the exponential-average form, whose velocity tends to the gradient and never exceeds it; else in the
    form with the rate inside the velocity, which grows to rate x gradient / (1 - momentum).
    """
    momenta = sorted(set(momenta))
    title = f"Velocity of momentum under a constant gradient ({'average form' if ema else 'rate inside the velocity'})"
    with plots.style.applied():
        figure, (axes,) = plots.style.panels(1, title, width=5.2, height=3.2, right=2.35)
        for look, momentum in zip(plots.style.ordered_looks(len(momenta)), momenta, strict=True):
            limit = 1.0 if ema else 1 / (1 - momentum)
            label = labels.number(momentum) if ema else f"{labels.number(momentum)} (limit {labels.number(limit)})"
            marks = [2**power - 1 for power in range(9)]
            grown = velocity(momentum, STEPS, ema=ema)
            axes.plot(np.arange(1, STEPS + 1), grown, label=label, markevery=marks, **look._asdict())
            axes.axhline(limit, color=look.color, linewidth=0.8, linestyle=":")
        plots.style.log_axis(axes, "x", 1, STEPS)
        axes.set_xlim(0.93, 1.07 * STEPS)
        axes.set_xlabel("step (logarithmic)")
        axes.set_ylabel("velocity\n(multiples of the gradient)" if ema else "velocity\n(multiples of rate x gradient)")
        if ema:
            axes.set_ylim(0, 1.08)
        else:
            plots.style.log_axis(axes, "y", 1, max(2.0, 1 / (1 - momenta[-1])))
        plots.style.legend(figure, axes, "momentum", width=2.3)
    return figure


def velocity(momentum: float, steps: int, *, ema: bool) -> np.ndarray:
    """Velocity under a constant gradient, in multiples of rate x gradient (``ema``: of the gradient).

    ``v <- momentum * v + 1`` or, with ``ema``, ``v <- momentum * v + (1 - momentum)``, from 0; ``[T]``, from step 1.
    """
    grown = 1 - np.asarray(momentum, np.float64) ** np.arange(1, steps + 1)
    return grown if ema else grown / (1 - momentum)


# Momentum and Nesterov's momentum on a bowl-shaped loss: figure 22.

CURVATURES = (1.0, 12.0)
"""Second derivatives of the bowl along x and along y."""
START = (-4.0, 1.6)


def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss: ``(x^2 + 12 y^2) / 2``."""
    return np.asarray(0.5 * (CURVATURES[0] * x**2 + CURVATURES[1] * y**2))


def descend(learning_rate: float, momentum: float, steps: int, *, nesterov: bool) -> np.ndarray:
    """Follows ``v <- momentum * v - learning_rate * g; w <- w + v`` down the bowl: points ``[T + 1, 2]``.

    With ``nesterov`` the gradient is taken at the look-ahead point ``w + momentum * v`` and not at ``w``.
    """
    points, velocity = [np.array(START)], np.zeros(2)
    for _ in range(steps):
        at = points[-1] + momentum * velocity if nesterov else points[-1]
        velocity = momentum * velocity - learning_rate * np.array(CURVATURES) * at
        points.append(points[-1] + velocity)
    return np.stack(points)


def bowl() -> Figure:
    """Both paths into the bowl over its contours, and their losses step by step."""
    rate, momentum = 0.03, 0.9
    title = f"Momentum and Nesterov momentum on a bowl-shaped loss (rate {rate}, momentum {momentum})"
    with plots.style.applied():
        figure, (plane, losses) = plots.style.panels(2, title)
        _contours(plane)
        for name in ("momentum", "nesterov"):
            x, y = descend(rate, momentum, 60, nesterov=name == "nesterov").T
            look = plots.style.looks([name])[name]._asdict()
            plane.plot(x, y, **look | {"linewidth": 1.2, "markersize": 3.5})
            losses.plot(height(x, y), label=labels.optimizer(name), markevery=5, **look)
        plane.plot(*START, "o", markersize=8, markerfacecolor="white", markeredgecolor=plots.style.INK, zorder=6)
        plane.annotate("start", START, xytext=(0, 9), textcoords="offset points", ha="center")
        plane.plot(0, 0, "*", markersize=11, color=plots.style.BEST, zorder=6)
        losses.set_xlabel("step")
        losses.set_ylabel("loss")
        plots.style.log_axis(losses, "y", 1e-6, 30)
        plots.style.legend(figure, losses, "")
    return figure


def _contours(axes: Axes) -> None:
    x, y = np.linspace(-5, 5, 121), np.linspace(-2.6, 2.6, 81)
    levels = [0.3, 1, 2.5, 5, 8, 12, 18, 26]
    axes.contour(x, y, height(*np.meshgrid(x, y)), levels=levels, colors=plots.style.GRID, linewidths=0.8)
    axes.grid(False)
    axes.set_xlabel("weight x")
    axes.set_ylabel("weight y")
