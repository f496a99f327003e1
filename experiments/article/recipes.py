"""How a counterpart of one of the article's figures is made from runs; the lists of them are in ``recipes_*``."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxopt_study.history import History
from jaxopt_study.plots import (
    captions,
    epoch_curves,
    heatmaps,
    labels,
    minima,
    selection,
    style,
)

LOSSES = ("train_loss", "val_loss")
SHOWN_LOSS = 3.0
"""Curves are cut off above this multiple of the loss of guessing."""


class Picture(NamedTuple):
    """A figure with its words."""

    name: str
    """File name without ending: the article's figure number and what it shows."""
    figure: Figure
    caption: str
    alt_text: str


class Source(NamedTuple):
    """What figures are drawn from."""

    histories: Sequence[History]
    chance: float = math.log(2)
    """Loss of guessing, nats."""

    def of(self, histories: Sequence[History]) -> "Source":
        """The same with these runs."""
        return self._replace(histories=histories)


Recipe = Callable[[Source], Picture]


class Held(NamedTuple):
    """A hyperparameter that a figure holds: the value it uses, and the one that the article's figure has."""

    name: str
    used: float
    wanted: float

    @property
    def title(self) -> str:
        """``learning rate 0.02 (nearest to the article's 0.01)``."""
        text = f"{labels.hyperparameter(self.name)} {labels.number(self.used)}"
        same = selection.stands_for(self.used, self.wanted)
        return text if same else f"{text} (nearest to the article's {labels.number(self.wanted)})"

    @property
    def file(self) -> str:
        """``lr0.02``."""
        return f"{labels.short(self.name)}{labels.number(self.used)}"


def at(
    histories: Sequence[History], wanted: float, *, others: Sequence[float] = (), name: str = "learning_rate"
) -> Held:
    """The value of a grid to draw a figure at.

    Args:
        histories: runs of the grid.
        wanted: the article's value.
        others: the values that sister figures want; a value that stands nearer to one of them is theirs.
        name: of the hyperparameter.

    Raises:
        NotDrawable: if the figure would repeat a sister.
    """
    present = selection.values(histories, name)
    used = selection.nearest(present, wanted)
    for other in others:
        if selection.nearest(present, other) == used and _distance(used, other) < _distance(used, wanted):
            has = labels.listing(labels.number(v) for v in present)
            raise selection.NotDrawable(
                f"the article draws it at {labels.hyperparameter(name)} {labels.number(wanted)}, the grid has {has}, "
                f"and the nearest of these is shown in the figure for {labels.number(other)}"
            )
    return Held(name, used, wanted)


def _distance(used: float, wanted: float) -> float:
    return abs(math.log(used / wanted)) if used > 0 < wanted else abs(used - wanted)


def curve_picture(
    number: int,
    source: Source,
    lead: str,
    *,
    shows: str,
    by: str | Sequence[str],
    held: Sequence[Held] = (),
    metrics: Sequence[str] = LOSSES,
) -> Picture:
    """Curves over the epochs, one line a value of ``by``.

    Args:
        number: the article's figure.
        source: runs of one rule, or of several with ``by="optimizer"``.
        lead: first sentence of the caption.
        shows: what the file name says it shows, with underscores.
        by: a hyperparameter, several, or ``"optimizer"``.
        held: the values at which the figure is drawn.
        metrics: a panel each.
    """
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    names = (by,) if isinstance(by, str) else tuple(by)
    rule = labels.listing(labels.optimizer(rule) for rule in dict.fromkeys(h.optimizer for h in runs))
    what = labels.listing(labels.measure(m) for m in metrics)
    by_what = "" if names == ("optimizer",) else f" by {labels.listing(map(labels.hyperparameter, names))}"
    title = labels.sentence(", ".join([f"{rule}: {what}{by_what}", *(h.title for h in held)]))
    figure = epoch_curves.curves(runs, metrics, by=names, title=title, ceiling=SHOWN_LOSS * source.chance)
    name = "_".join([f"fig{number:02d}_{shows}", *(h.file for h in held)])
    groups = epoch_curves.named_groups(runs, names)
    return Picture(name, figure, captions.curves(lead, runs), captions.curves_alt(groups, metrics))


def groups_picture(
    number: int,
    groups: Mapping[str, Sequence[History]],
    lead: str,
    *,
    chance: float,
    shows: str,
    title: str,
    events: Sequence[float] = (),
) -> Picture:
    """Losses over the epochs of named groups, each the seeds of one configuration."""
    runs = [h for members in groups.values() for h in members]
    rules = [members[0].optimizer for members in groups.values()]
    looks = [style.named_look(rule) for rule in rules] if len(set(rules)) == len(rules) else None
    figure = epoch_curves.lines(groups, LOSSES, title=title, looks=looks, events=events, ceiling=SHOWN_LOSS * chance)
    return Picture(f"fig{number:02d}_{shows}", figure, captions.curves(lead, runs), captions.curves_alt(groups, LOSSES))


def minimum_picture(number: int, source: Source, lead: str, *, shows: str, by: str) -> Picture:
    """The minimum losses against one hyperparameter."""
    runs = selection.matching(source.histories, {})
    title = labels.sentence(f"{labels.optimizer(runs[0].optimizer)}: minimum losses by {labels.hyperparameter(by)}")
    figure = minima.minimum_by(runs, by=by, title=title, ceiling=SHOWN_LOSS * source.chance)
    return Picture(f"fig{number:02d}_{shows}", figure, captions.minima(lead, runs), captions.minima_alt(runs, by))


def table_picture(
    number: int,
    source: Source,
    lead: str,
    *,
    shows: str,
    x: str,
    y: str = "learning_rate",
    held: Sequence[Held] = (),
) -> Picture:
    """Minimum training and validation loss over two hyperparameters, ``x`` the columns and ``y`` the rows."""
    values = ("min_train_loss", "min_val_loss")
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    over = f"{labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    rule = labels.optimizer(runs[0].optimizer)
    title = labels.sentence(", ".join([f"{rule}: minimum losses over {over}", *(h.title for h in held)]))
    figure = heatmaps.heat_map(runs, x=x, y=y, value=values, title=title, ceiling=source.chance)
    alt = captions.table_alt(runs, x=x, y=y, values=values)
    name = "_".join([f"fig{number:02d}_{shows}", *(h.file for h in held)])
    return Picture(name, figure, captions.table(lead, runs), alt)
