"""A figure with its words: how it is made from runs, named, captioned, left out where it cannot be, and written."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxopt_study.analysis.best import best_cell
from jaxopt_study.analysis.runs import Cell, Runs
from jaxopt_study.files import write_atomically
from jaxopt_study.history import History
from jaxopt_study.plots import captions, comparison, epoch_curves, heatmaps, labels, selection, style
from jaxopt_study.plots.selection import NotDrawable


class Picture(NamedTuple):
    """A figure with its words."""

    name: str
    """File name without ending: what it shows, after its number where it has one."""
    figure: Figure
    caption: str
    alt_text: str


class Source(NamedTuple):
    """What figures are drawn from."""

    histories: Sequence[History]
    chance: float = math.log(2)
    """Loss of guessing."""

    @property
    def runs(self) -> Runs:
        """For the analysis."""
        return Runs(self.histories, chance=self.chance)

    def of(self, histories: Sequence[History]) -> "Source":
        """The same with these runs."""
        return self._replace(histories=histories)


Recipe = Callable[[Source], Picture]
"""Makes a figure, or raises ``NotDrawable`` where the runs do not hold what it shows."""


class SavedFigure(NamedTuple):
    """A figure that was written, with its words."""

    name: str
    png: Path
    svg: Path
    caption: str
    alt_text: str

    @property
    def number(self) -> int | None:
        """``NN`` where its name begins with ``figNN``."""
        number = re.match(r"fig(\d+)", self.name)
        return int(number[1]) if number else None


def save_pictures(pictures: Iterable[Picture], folder: str | os.PathLike[str]) -> list[SavedFigure]:
    """Writes figures with :func:`save`, one after the other; EnvironmentFault as there."""
    saved = []
    for picture in pictures:
        png, svg = save(picture.figure, folder, picture.name)
        saved.append(SavedFigure(picture.name, png, svg, picture.caption, picture.alt_text))
    return saved


class Held(NamedTuple):
    """A hyperparameter that a figure holds: the value it uses, and what is to be said of it."""

    name: str
    used: float
    note: str = ""

    @property
    def title(self) -> str:
        """``learning rate 0.02``, with the note."""
        return f"{labels.hyperparameter(self.name)} {labels.number(self.used)}{self.note and f' ({self.note})'}"

    @property
    def file(self) -> str:
        """``lr0.02``."""
        return f"{labels.short(self.name)}{labels.number(self.used)}"


def curve_picture(
    number: int,
    source: Source,
    lead: str,
    *,
    shows: str,
    by: str | Sequence[str],
    held: Sequence[Held] = (),
    metrics: Sequence[str] = labels.LOSSES,
) -> Picture:
    """Curves over the epochs, one line a value of ``by``.

    Args:
        number: of the figure, 0 where it has none.
        source: runs of one rule, or of several with ``by="optimizer"``.
        lead: first sentence of the caption.
        shows: what the file name says it shows, with underscores.
        by: a hyperparameter, several, or ``"optimizer"``.
        held: the values at which the figure is drawn.
        metrics: a panel each.

    Raises:
        NotDrawable: if no run is left, or runs would be averaged that differ in more than their seed.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    grouped = selection.grouped(runs, names)
    texts = zip(*map(labels.values, zip(*grouped, strict=True)), strict=True)
    groups = {", ".join(key): members for key, members in zip(texts, grouped.values(), strict=True)}
    rules = dict.fromkeys(h.optimizer for h in runs)
    what = labels.listing(map(labels.measure, metrics))
    if names == ("optimizer",):
        looks = list(style.looks(sorted(rules)).values())
    else:
        looks = style.ordered_looks(len(groups))
        what += f" by {labels.listing(map(labels.hyperparameter, names))}"
    title = _title(f"{labels.listing(map(labels.optimizer, rules))}: {what}", held)
    legend = ", ".join(map(labels.hyperparameter, names))
    figure = epoch_curves.lines(groups, metrics, legend=legend, title=title, looks=looks, chance=source.chance)
    alt = captions.curves_alt(groups, metrics, source.chance)
    return Picture(_file_name(number, shows, held), figure, captions.curves(lead, runs, source.chance), alt)


def groups_picture(
    number: int,
    groups: Mapping[str, Sequence[History]],
    lead: str,
    *,
    chance: float,
    shows: str,
    title: str,
    legend: str = "",
    metrics: Sequence[str] = labels.LOSSES,
    events: Sequence[float] = (),
    rest: Sequence[Sequence[History]] = (),
) -> Picture:
    """Curves over the epochs of named groups, each the seeds of one configuration, and of ``rest`` thin and grey."""
    runs = [h for members in groups.values() for h in members]
    rules = [members[0].optimizer for members in groups.values()]
    by_rule = style.looks(sorted(rules))
    looks = [by_rule[rule] for rule in rules] if len(by_rule) == len(rules) else None  # else a rule has several
    figure = epoch_curves.lines(
        groups, metrics, legend=legend, title=title, looks=looks, events=events, chance=chance, rest=rest
    )
    alt = captions.curves_alt(groups, metrics, chance)
    return Picture(_file_name(number, shows), figure, captions.curves(lead, runs, chance), alt)


def _file_name(number: int, shows: str, held: Sequence[Held] = ()) -> str:
    return "_".join([*([f"fig{number:02d}"] if number else []), shows, *(h.file for h in held)])


def _title(what: str, held: Sequence[Held] = ()) -> str:
    return labels.sentence(", ".join([what, *(h.title for h in held)]))


def minimum_picture(number: int, source: Source, lead: str, *, shows: str, by: str) -> Picture:
    """The minimum losses against one hyperparameter."""
    runs = selection.matching(source.histories, {})
    title = _title(f"{labels.optimizer(runs[0].optimizer)}: minimum losses by {labels.hyperparameter(by)}")
    figure = comparison.minimum_by(runs, by=by, title=title, chance=source.chance)
    alt = captions.minima_alt(runs, by)
    return Picture(_file_name(number, shows), figure, captions.minima(lead, runs, source.chance), alt)


def table_picture(
    number: int,
    source: Source,
    lead: str,
    *,
    shows: str,
    x: str,
    y: str = "learning_rate",
    held: Sequence[Held] = (),
    best: str = "row",
) -> Picture:
    """Minimum losses over two hyperparameters, ``x`` the columns and ``y`` the rows; ``best`` as in ``heat_map``."""
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    over = f"{labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    title = _title(f"{labels.optimizer(runs[0].optimizer)}: minimum losses over {over}", held)
    figure = heatmaps.heat_map(runs, x=x, y=y, best=best, title=title, chance=source.chance)
    alt = captions.table_alt(runs, x=x, y=y, chance=source.chance)
    return Picture(_file_name(number, shows, held), figure, captions.table(lead, runs, best, source.chance), alt)


def best(source: Source, rule: str) -> Cell:
    """The configuration of a rule with the smallest mean of the minimum validation losses.

    Momentum 0 is SGD and does not count as a rule with momentum.

    Raises:
        NotDrawable: if the rule has no run.
    """
    cells = Runs(source.histories).family(rule)
    if not cells:
        raise NotDrawable(f"there is no run of {labels.optimizer(rule)}")
    return best_cell(cells)


def save(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Writes ``folder/name.png`` and ``folder/name.svg``, in this order; a reader never sees half a file.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("png", "svg")]
    for path in paths:
        write_atomically(path, lambda temporary: _draw(figure, temporary))
    return paths


def _draw(figure: Figure, path: Path) -> None:
    # Without its date the same runs give the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with style.applied():
        figure.savefig(path, format=path.suffix[1:], metadata=metadata)
