"""A figure with its words: how it is made from runs, named, captioned, left out where it cannot be, and written."""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from jaxopt_study.analysis.best import best_cell, mean_lowest
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.files import write_atomically
from jaxopt_study.history import History
from jaxopt_study.plots import captions, comparison, epoch_curves, heatmaps, labels, selection, style
from jaxopt_study.plots.selection import NotDrawable

FORMATS = ("png", "svg")
LOSSES = ("train_loss", "val_loss")
SHOWN_LOSS = 3.0
"""Curves are cut off above this multiple of the loss of guessing."""


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
    """Loss of guessing, nats."""

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


def drawn(
    recipes: Iterable[tuple[int, Recipe]],
    source: Source,
    *,
    title: str = "",
    on_absent: Callable[[str], None] | None = None,
) -> Iterator[Picture]:
    """The figures that these runs can show.

    Args:
        recipes: each with the number of its figure, 0 where it has none.
        source: the runs.
        title: what a figure without a number is called where it is left out.
        on_absent: is called with a sentence for each figure that is left out, e.g. ``notes.append``.
    """
    for number, recipe in recipes:
        try:
            picture = recipe(source)
        except NotDrawable as why:
            if on_absent:
                on_absent(f"{f'Figure {number}' if number else title} is left out: {why}.")
        else:
            yield picture


def save_pictures(pictures: Iterable[Picture], folder: str | os.PathLike[str]) -> list[SavedFigure]:
    """Writes figures with :func:`save`, one after the other.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
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
    metrics: Sequence[str] = LOSSES,
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
    """
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    names = (by,) if isinstance(by, str) else tuple(by)
    rule = labels.listing(labels.optimizer(rule) for rule in dict.fromkeys(h.optimizer for h in runs))
    what = labels.listing(labels.measure(m) for m in metrics)
    by_what = "" if names == ("optimizer",) else f" by {labels.listing(map(labels.hyperparameter, names))}"
    title = labels.sentence(", ".join([f"{rule}: {what}{by_what}", *(h.title for h in held)]))
    figure = epoch_curves.curves(runs, metrics, by=names, title=title, ceiling=SHOWN_LOSS * source.chance)
    name = "_".join([_file_name(number, shows), *(h.file for h in held)])
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
    legend: str = "",
    events: Sequence[float] = (),
    rest: Sequence[Sequence[History]] = (),
) -> Picture:
    """Losses over the epochs of named groups, each the seeds of one configuration, and of ``rest`` thin and grey."""
    runs = [h for members in groups.values() for h in members]
    rules = [members[0].optimizer for members in groups.values()]
    told_apart = len(set(rules)) == len(rules) and labels.OPTIMIZERS.keys() >= set(rules)
    figure = epoch_curves.lines(
        groups,
        LOSSES,
        legend=legend,
        title=title,
        looks=[style.named_look(rule) for rule in rules] if told_apart else None,
        events=events,
        ceiling=SHOWN_LOSS * chance,
        rest=rest,
    )
    return Picture(_file_name(number, shows), figure, captions.curves(lead, runs), captions.curves_alt(groups, LOSSES))


def _file_name(number: int, shows: str) -> str:
    return f"fig{number:02d}_{shows}" if number else shows


def minimum_picture(number: int, source: Source, lead: str, *, shows: str, by: str) -> Picture:
    """The minimum losses against one hyperparameter."""
    runs = selection.matching(source.histories, {})
    title = labels.sentence(f"{labels.optimizer(runs[0].optimizer)}: minimum losses by {labels.hyperparameter(by)}")
    figure = comparison.minimum_by(runs, by=by, title=title, ceiling=SHOWN_LOSS * source.chance)
    return Picture(_file_name(number, shows), figure, captions.minima(lead, runs), captions.minima_alt(runs, by))


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
    values = ("min_train_loss", "min_val_loss")
    runs = selection.matching(source.histories, {h.name: h.used for h in held})
    over = f"{labels.hyperparameter(y)} and {labels.hyperparameter(x)}"
    rule = labels.optimizer(runs[0].optimizer)
    title = labels.sentence(", ".join([f"{rule}: minimum losses over {over}", *(h.title for h in held)]))
    figure = heatmaps.heat_map(runs, x=x, y=y, value=values, best=best, title=title, ceiling=source.chance)
    alt = captions.table_alt(runs, x=x, y=y, values=values)
    name = "_".join([_file_name(number, shows), *(h.file for h in held)])
    return Picture(name, figure, captions.table(lead, runs, best), alt)


class Best(NamedTuple):
    """The best configuration of a rule."""

    rule: str
    numbers: Mapping[str, float]
    runs: list[History]
    """A run a seed."""
    value: float
    """Minimum validation loss, mean over the seeds."""

    @property
    def text(self) -> str:
        """``lr 0.01, momentum 0.5``; numbers that only guard against division by zero are left out."""
        shown = labels.shown(self.numbers)
        return ", ".join(f"{labels.short(name)} {labels.number(value)}" for name, value in shown.items())


def best(source: Source, rule: str) -> Best:
    """The configuration of a rule with the smallest mean of the minimum validation losses.

    Momentum 0 is SGD and does not count as a rule with momentum.

    Raises:
        NotDrawable: if the rule has no run.
    """
    runs = Runs(source.histories, chance=source.chance)
    cells = runs.family(rule)
    if not cells:
        raise NotDrawable(f"there is no run of {labels.optimizer(rule)}")
    chosen = best_cell(cells)
    members = [chosen.by_seed[seed] for seed in chosen.seeds]
    return Best(rule, chosen.hyperparameters, members, mean_lowest(runs, chosen))


def save(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Writes ``folder/name.png`` (150 dots an inch) and ``folder/name.svg``; a reader never sees half a file.

    Args:
        figure: the figure.
        folder: is made if it is not there.
        name: file name without its ending.

    Returns:
        The paths, in the order of ``FORMATS``.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in FORMATS]
    for path in paths:
        write_atomically(path, lambda temporary: _draw(figure, temporary))
    return paths


def _draw(figure: Figure, path: Path) -> None:
    # Without its date the same runs give the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with style.applied():
        figure.savefig(path, format=path.suffix[1:], metadata=metadata)
