"""How a counterpart of one of the article's figures is made from runs; the lists of them are in ``recipes_*``."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxopt_study.history import History
from jaxopt_study.plots import captions, epoch_curves, heatmaps, labels, minima, selection

LOSSES = ("train_loss", "val_loss")


class Picture(NamedTuple):
    """A figure with its words."""

    name: str
    """File name without ending: the article's figure number and what it shows."""
    figure: Figure
    caption: str
    alt_text: str


Recipe = Callable[[Sequence[History]], Picture]


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
                f"the article draws it at {labels.hyperparameter(name)} {labels.number(wanted)}, the grid has {has}, and "
                f"the nearest of these is shown in the figure for {labels.number(other)}"
            )
    return Held(name, used, wanted)


def _distance(used: float, wanted: float) -> float:
    return abs(math.log(used / wanted)) if used > 0 < wanted else abs(used - wanted)


class Best(NamedTuple):
    """The best configuration of a rule."""

    rule: str
    values: Mapping[str, float]
    runs: list[History]
    """A run a seed."""
    value: float
    """Least validation loss, mean over the seeds."""

    @property
    def text(self) -> str:
        """``lr 0.01, momentum 0.5``; numbers that only guard against division by zero are left out."""
        shown = {n: v for n, v in self.values.items() if n not in ("eps", "initial_accumulator_value")}
        return ", ".join(f"{labels.short(name)} {labels.number(value)}" for name, value in shown.items())


def best(histories: Sequence[History]) -> Best:
    """The configuration with the least mean of the minimum validation losses, no seed of it diverged.

    Raises:
        NotDrawable: if every configuration diverged or there are none.
    """
    groups: dict[object, list[History]] = {}
    for history in histories:
        groups.setdefault(selection.configuration(history), []).append(history)
    members = list(groups.values())
    cells = [heatmaps.cell(runs, "min_val_loss") for runs in members]
    found = heatmaps.best_of(cells)
    if not found:
        raise selection.NotDrawable("no configuration trained without diverging")
    runs = members[found[0]]
    return Best(runs[0].optimizer, runs[0].hyperparameters, runs, cells[found[0]].value)


def curve_picture(
    number: int,
    histories: Sequence[History],
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
        histories: runs of one rule, or of several with ``by="optimizer"``.
        lead: first sentence of the caption.
        shows: what the file name says it shows, with underscores.
        by: a hyperparameter, several, or ``"optimizer"``.
        held: the values at which the figure is drawn.
        metrics: a panel each.
    """
    runs = selection.matching(histories, {h.name: h.used for h in held})
    names = (by,) if isinstance(by, str) else tuple(by)
    rule = labels.listing(labels.optimizer(rule) for rule in dict.fromkeys(h.optimizer for h in runs))
    what = labels.listing(labels.measure(m) for m in metrics)
    by_what = "" if names == ("optimizer",) else f" by {labels.listing(map(labels.hyperparameter, names))}"
    title = labels.sentence(", ".join([f"{rule}: {what}{by_what}", *(h.title for h in held)]))
    figure = epoch_curves.curves(runs, metrics, by=names, title=title)
    name = "_".join([f"fig{number:02d}_{shows}", *(h.file for h in held)])
    return Picture(name, figure, captions.curves(lead, runs), captions.curves_alt(_named(runs, names), metrics))


def _named(runs: Sequence[History], names: Sequence[str]) -> dict[str, list[History]]:
    return {", ".join(map(str, key)): members for key, members in selection.grouped(runs, names).items()}


def groups_picture(
    number: int, groups: Mapping[str, Sequence[History]], lead: str, *, shows: str, title: str
) -> Picture:
    """Losses over the epochs of named groups, each the seeds of one configuration."""
    runs = [h for members in groups.values() for h in members]
    figure = epoch_curves.lines(groups, LOSSES, title=title)
    return Picture(f"fig{number:02d}_{shows}", figure, captions.curves(lead, runs), captions.curves_alt(groups, LOSSES))


def minimum_picture(number: int, histories: Sequence[History], lead: str, *, shows: str, by: str) -> Picture:
    """The least losses against one hyperparameter."""
    runs = selection.matching(histories, {})
    title = labels.sentence(f"{labels.optimizer(runs[0].optimizer)}: least losses by {labels.hyperparameter(by)}")
    figure = minima.minimum_by(runs, by=by, title=title)
    return Picture(f"fig{number:02d}_{shows}", figure, captions.minima(lead, runs), captions.minima_alt(runs, by))


def table_picture(
    number: int,
    histories: Sequence[History],
    lead: str,
    *,
    shows: str,
    x: str,
    y: str = "learning_rate",
    held: Sequence[Held] = (),
) -> Picture:
    """Least training and validation loss over two hyperparameters, ``x`` the columns and ``y`` the rows."""
    values = ("min_train_loss", "min_val_loss")
    runs = selection.matching(histories, {h.name: h.used for h in held})
    over = f"{labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    rule = labels.optimizer(runs[0].optimizer)
    title = labels.sentence(", ".join([f"{rule}: least losses over {over}", *(h.title for h in held)]))
    figure = heatmaps.heat_map(runs, x=x, y=y, value=values, title=title)
    alt = captions.table_alt(runs, x=x, y=y, values=values)
    name = "_".join([f"fig{number:02d}_{shows}", *(h.file for h in held)])
    return Picture(name, figure, captions.table(lead, runs), alt)
