"""How a counterpart of one of the article's figures is made from runs; the lists of them are in ``recipes_*``."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxopt_study.history import History
from jaxopt_study.plots import captions, epoch_curves, heatmaps, labels, selection


class Picture(NamedTuple):
    """A figure with its words."""

    name: str
    """File name without ending: the article's figure number and what it shows."""
    figure: Figure
    caption: str
    alt_text: str


Recipe = Callable[[Sequence[History]], Picture]


class Rate(NamedTuple):
    """The value of a hyperparameter that a figure uses, and the one that the article's figure has."""

    name: str
    used: float
    wanted: float

    @property
    def title(self) -> str:
        """``learning rate 0.02 (in the article 0.01)``."""
        text = f"{labels.hyperparameter(self.name)} {labels.number(self.used)}"
        same = selection.stands_for(self.used, self.wanted)
        return text if same else f"{text} (nearest to the article's {labels.number(self.wanted)})"

    @property
    def file(self) -> str:
        """``lr0.02``."""
        short = {"learning_rate": "lr", "decay": "rho"}.get(self.name, self.name)
        return f"{short}{labels.number(self.used)}"


def rate(
    histories: Sequence[History], wanted: float, *, others: Sequence[float] = (), name: str = "learning_rate"
) -> Rate:
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
        taken = selection.nearest(present, other)
        if taken == used and _distance(used, other) < _distance(used, wanted):
            has = labels.listing(labels.number(v) for v in present)
            raise selection.NotDrawable(
                f"it is drawn at {labels.hyperparameter(name)} {labels.number(wanted)} in the article; the grid has only "
                f"{has}, and the nearest is shown in the figure for {labels.number(other)}"
            )
    return Rate(name, used, wanted)


def _distance(used: float, wanted: float) -> float:
    return abs(math.log(used / wanted)) if used > 0 < wanted else abs(used - wanted)


def curve_picture(
    number: int,
    histories: Sequence[History],
    lead: str,
    *,
    shows: str,
    by: str,
    at: Rate | None = None,
    metrics: Sequence[str] = ("train_loss", "val_loss"),
    where: Mapping[str, float | str] | None = None,
) -> Picture:
    """Curves over the epochs, one line a value of ``by``.

    Args:
        number: the article's figure.
        histories: runs of one rule.
        lead: first sentence of the caption.
        shows: what the file name says it shows, with underscores.
        by: hyperparameter, or ``"optimizer"``.
        at: the value at which the figure is drawn, if at one.
        metrics: a panel each.
        where: further hyperparameters that are held.
    """
    held = {**(where or {}), **({at.name: at.used} if at else {})}
    runs = selection.matching(histories, held)
    what = labels.listing(labels.measure(m) for m in metrics)
    rule = "" if by == "optimizer" else f"{labels.optimizer(runs[0].optimizer)}: "
    title = labels.sentence(f"{rule}{what} by {labels.hyperparameter(by)}" + (f", {at.title}" if at else ""))
    figure = epoch_curves.curves(runs, metrics, by=by, title=title)
    name = f"fig{number:02d}_{shows}" + (f"_{at.file}" if at else "")
    return Picture(name, figure, captions.curves(lead, runs), captions.curves_alt(runs, by, metrics))


def table_picture(
    number: int, histories: Sequence[History], lead: str, *, shows: str, x: str, y: str = "learning_rate"
) -> Picture:
    """Minimum training and validation loss over two hyperparameters, ``x`` the columns and ``y`` the rows."""
    values = ("min_train_loss", "min_val_loss")
    runs = selection.matching(histories, {})
    rule = labels.optimizer(runs[0].optimizer)
    title = labels.sentence(f"{rule}: minimum losses over {labels.hyperparameter(y)} and {labels.hyperparameter(x)}")
    figure = heatmaps.heat_map(runs, x=x, y=y, value=values, title=title)
    alt = captions.table_alt(runs, x=x, y=y, values=values)
    return Picture(f"fig{number:02d}_{shows}", figure, captions.table(lead, runs), alt)

