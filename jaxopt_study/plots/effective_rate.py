"""The lowest loss of momentum over its effective rate, and over the plain one."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from jaxopt_study.analysis import Runs, effective_rate, seed_estimate
from jaxopt_study.analysis.effective_rate import AVERAGED, PLAIN, Point
from jaxopt_study.plots import labels, open_questions, style
from jaxopt_study.plots.picture import Picture, Recipe, Source
from jaxopt_study.plots.selection import NotDrawable

_FORMS = {PLAIN: ("-", None), AVERAGED: ((0, (1.4, 1.4)), "white")}
"""Line and filling of the markers, by formulation."""


def picture(source: Source) -> Picture:
    """A line a momentum and formulation, over the effective rate and over the rate.

    Raises:
        NotDrawable: the runs have no two momenta.
    """
    found = effective_rate.points(Runs(source.histories, chance=source.chance))
    momenta = sorted({point.momentum for point in found})
    if len(momenta) < 2:
        raise NotDrawable("it compares momenta, and the runs have fewer than two")
    estimates = [seed_estimate(list(point.losses.values())) for point in found]
    title = "Momentum: lowest validation loss over the effective rate and over the learning rate"
    with style.applied():
        figure, axes = style.panels(2, title, right=open_questions.LEGEND)
        _panel(axes[0], found, momenta, lambda point: point.effective, "effective rate (see the caption)")
        _panel(axes[1], found, momenta, lambda point: point.rate, "learning rate")
        for panel in axes:
            open_questions.losses(panel, estimates, source.chance)
            panel.set_ylabel(f"lowest validation loss\n({labels.LOSS_UNIT})")
        style.legend(figure, axes[1], "momentum", width=open_questions.LEGEND - 0.05)
    plain = [point for point in found if point.optimizer == PLAIN]
    numbers = _numbers(found, plain)
    caption = (
        "The effective rate is rate / (1 - momentum); in the average form (open markers, dotted) it is the rate. "
        f"{numbers} A cross marks where a seed diverged, the dotted line is guessing. {open_questions.seeds(estimates)}"
    )
    alt = f"Line chart in two panels, lines for momentum {labels.listing(map(labels.number, momenta))}. {numbers}"
    return Picture("effective_rate", figure, caption, alt)


def _panel(
    axes: Axes, found: Sequence[Point], momenta: Sequence[float], by: Callable[[Point], float], name: str
) -> None:
    looks = dict(zip(momenta, style.ordered_looks(len(momenta)), strict=True))
    for form, (line, inside) in _FORMS.items():
        for momentum, look in looks.items():
            own = sorted((p for p in found if p.optimizer == form and p.momentum == momentum), key=by)
            if own:
                estimates = [seed_estimate(list(point.losses.values())) for point in own]
                label = labels.number(momentum) + (" (average form)" if form == AVERAGED else "")
                open_questions.marks(
                    axes, [by(point) for point in own], estimates, label=label, color=look.color, marker=look.marker,
                    linestyle=line, markerfacecolor=inside or look.color, markersize=4.5 if inside is None else 8,
                    zorder=3 if inside is None else 2, linewidth=1.3,
                )  # fmt: skip
    open_questions.crosses(axes, sorted({by(point) for point in found if point.diverged}))
    open_questions.positions(axes, [by(point) for point in found], name)


def _numbers(found: Sequence[Point], plain: Sequence[Point]) -> str:
    by_effective = effective_rate.explained_by(plain, lambda point: point.effective, ranks=True)
    by_rate = effective_rate.explained_by(plain, lambda point: point.rate, ranks=True)
    return (
        "Of the variance of the ranks of the losses, within the first formulation, the effective rate explains "
        f"{open_questions.interval(by_effective)}, the learning rate {open_questions.interval(by_rate)}; compared at "
        f"the same pairs of momenta, the preference for the effective rate, from 0 to 1, is "
        f"{open_questions.interval(effective_rate.preference(found))}."
    )


EFFECTIVE_RATE: tuple[tuple[int, Recipe], ...] = ((0, picture),)
"""Not a figure of the article: it has no number there."""
