"""How much each hyperparameter of a rule matters: a bar for its share of the losses' variance over the rule's grid."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from jaxopt_study.analysis.importance import SEED, Importance, importance
from jaxopt_study.plots import labels, style
from jaxopt_study.plots.picture import Picture, Source
from jaxopt_study.plots.selection import NotDrawable

_LEAST = 0.005
"""Share below which a source has no bar."""
_ROW, _GAP = 0.2, 0.34
"""Inches of a row, and between two grids."""


def picture(source: Source) -> Picture:
    """A group of bars a grid of a rule.

    Raises:
        NotDrawable: no rule has a full grid that tells anything.
    """
    found = importance(source.runs)
    if not found:
        raise NotDrawable("no optimizer has a full grid of several values, or of several seeds")
    grids: dict[str, list[Importance]] = {}
    for one in found:
        if one.share >= _LEAST:
            grids.setdefault(_heading(one), []).append(one)
    told = "; ".join(f"{heading}: {', '.join(map(_told, of))}" for heading, of in grids.items())
    caption = (
        "Shares of the variance of the lowest validation loss over the grid of each optimizer: what a hyperparameter "
        "does in the mean over all others, what several do together beyond each by itself, and what the seed does. "
        "Runs that diverged, or are worse than guessing, count as guessing. They are of the values tried: a wider grid "
        "gives a hyperparameter more."
    )
    return Picture("importance", bars(grids), caption, f"Bar chart. {told}.")


def _heading(one: Importance) -> str:
    held = f", {labels.configuration(one.held)}" if one.held else ""
    return f"{labels.optimizer(one.optimizer)}{held}"


def _told(one: Importance) -> str:
    return f"{labels.together(one.source)} {one.share:.0%}"


def bars(grids: Mapping[str, Sequence[Importance]]) -> Figure:
    """The bars, by the text above each group."""
    rows, place, heads = [], 0.0, []
    for heading, members in grids.items():
        heads.append((heading, place - _ROW * 0.75))
        for one in members:
            rows.append((place, one))
            place += _ROW
        place += _GAP
    title = "How much each hyperparameter matters over the values tried"
    with style.applied():
        figure, (axes,) = style.panels(1, title, width=4.2, height=place - _GAP + 2 * _ROW, left=2.4, right=0.8)
        for at, one in rows:
            color = style.MUTED if one.source == SEED else "#0072b2"
            axes.barh(at, one.share, height=0.62 * _ROW, color=color, linewidth=0)
            axes.text(one.share + 0.01, at, f"{one.share:.0%}", va="center", fontsize=8)
        for heading, at in heads:
            axes.text(0.0, at, heading, va="center", fontsize=8.5, fontweight="bold")
        axes.set_yticks([at for at, _ in rows], [labels.together(one.source) for _, one in rows], fontsize=8.5)
        axes.set_ylim(place - _GAP, -1.4 * _ROW)
        axes.set_xlim(0, 1)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.set_xlabel("share of the variance of the lowest validation loss")
    return figure
