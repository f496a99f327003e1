"""The look of every figure: colours, line styles, markers, panels and axes; figures.mplstyle has the sizes.

Colours are told apart by people with colour-blindness and fall from dark to light, so that they survive a
black-and-white print; line styles and markers say the same a second time.
"""

import contextlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jaxopt_study.plots import labels

INK = "#1a1a1a"
MUTED = "#5a5a5a"
GRID = "#d9d9d9"
MISSING = "#f0f0f0"
BEST = "#d55e00"
GOOD, BAD, NEITHER = "#9ad1b3", "#f2a58e", "#f6e08a"
HEAT = "cividis_r"
LOG_FROM = 6.0
"""An axis or a scale of colours is logarithmic where the largest value is more than this multiple of the smallest."""
SHOWN_LOSS = 3.0
"""Losses are cut off above this multiple of that of guessing, so that one that explodes does not flatten the others."""
TITLE, ROWS, COLOURS, SMALL = "title", "rows", "<colorbar>", "small"
"""What marks a title, a panel of lines of text, a scale of colours and the second line of a cell, for print."""
STAR = " \N{BLACK STAR}"
_DASHES = ("-", (0, (5, 1.6)), (0, (7, 1.6, 1.4, 1.6)), (0, (1.4, 1.4)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_OKABE_ITO = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")


class Look(NamedTuple):
    """How one series is drawn."""

    color: str | tuple[float, float, float, float]
    linestyle: str | tuple[int, tuple[float, ...]]
    marker: str


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """Within it, figures are made and written in the project's style, whatever the user's; then all is as it was."""
    with style.context(Path(__file__).with_name("figures.mplstyle"), after_reset=True):
        yield


def ordered_looks(count: int) -> list[Look]:
    """Looks for ``count`` values of a hyperparameter, dark for the smallest, light for the largest."""
    shades = colormaps["viridis"]
    return [
        Look(shades(0.86 * i / max(count - 1, 1)), _DASHES[i % len(_DASHES)], _MARKERS[i % len(_MARKERS)])
        for i in range(count)
    ]


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Looks for what is drawn together: an optimizer of ours has the same in every figure, others have what is left.

    No two of up to 32 have color and dash in common.
    """
    known, wanted = list(labels.OPTIMIZERS), list(dict.fromkeys(names))
    numbers = {name: known.index(name) for name in wanted if name in known}
    # Beside ours the looks that none of ours has come first, so that a rule of one's own keeps its look, too.
    every = range(max(len(known), len(wanted)) + len(_OKABE_ITO))
    order = sorted(every, key=lambda i: i < len(known)) if numbers else every
    free = iter([i for i in order if i not in numbers.values()])
    numbers |= {name: next(free) for name in wanted if name not in known}
    return {name: _look(numbers[name]) for name in wanted}


def _look(i: int) -> Look:
    again = i // len(_OKABE_ITO)  # another dash where the colors come round
    return Look(_OKABE_ITO[i % len(_OKABE_ITO)], _DASHES[(i + again) % len(_DASHES)], _MARKERS[i % len(_MARKERS)])


def panels(
    count: int, title: str, *, width: float = 3.7, height: float = 2.9, left: float = 1.05, right: float = 2.2
) -> tuple[Figure, list[Axes]]:
    """An empty figure with ``count`` panels side by side, ``title`` above, wrapped, and room for a legend to the right.

    ``width`` and ``height`` are a panel's, ``left`` the room for the labels of each, ``right`` that behind the last, in
    inches.
    """
    total = count * (left + width) + right
    lines = textwrap.wrap(title, int(total * 10.5)) or [""]
    top, bottom = 0.36 + 0.2 * len(lines), 0.58
    tall = top + height + bottom
    figure = Figure(figsize=(total, tall))
    FigureCanvasAgg(figure)
    figure.text(
        0.12 / total, 1 - 0.12 / tall, "\n".join(lines), va="top", ha="left", fontsize=11, fontweight="bold", gid=TITLE
    )
    boxes = [(left + i * (left + width)) / total for i in range(count)]
    return figure, [figure.add_axes((x, bottom / tall, width / total, height / tall)) for x in boxes]


def epochs_axis(axes: Axes, last: int) -> None:
    """Whole epochs on the x axis: the first, and round numbers up to ``last``."""
    axes.set_xlabel("epoch")
    margin = 0.02 * (last - 1) if last > 1 else 0.5
    axes.set_xlim(1 - margin, last + margin)
    step = max(1, round(float(np.diff(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, last))[0])))
    axes.set_xticks([1, *(t for t in range(step, last + 1, step) if t > 1 + 0.4 * step)])


def log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """A logarithmic axis ``which`` (``"x"`` or ``"y"``) with plain numbers at readable distances."""
    getattr(axes, f"set_{which}scale")("log", nonpositive="clip")
    ratio = high / low
    subs = (1.0, 2.0, 3.0, 5.0, 7.0) if ratio < 8 else (1.0, 2.0, 5.0) if ratio < 300 else (1.0,)
    line = getattr(axes, f"{which}axis")
    line.set_major_locator(LogLocator(subs=subs, numticks=10))
    line.set_major_formatter(FuncFormatter(lambda value, _: labels.number(value)))
    line.set_minor_formatter(NullFormatter())


def legend(figure: Figure, axes: Axes, title: str, *, width: float = 2.15) -> None:
    """The legend of ``axes``, outside the panels, ``width`` inches from the figure's right edge."""
    box = axes.get_position()
    handles, names = axes.get_legend_handles_labels()
    if handles:
        anchor = (1 - width / figure.get_figwidth(), box.y1)
        lines = sum(name.count("\n") + 1 for name in names)
        size = min(8.5, 8.5 * 17 * box.height * figure.get_figheight() / (2.9 * lines))
        figure.legend(
            handles, names, title=title, loc="upper left", bbox_to_anchor=anchor, alignment="left", fontsize=size
        )


def scale(axes: Axes, values: np.ndarray, ceiling: float = np.inf, *, may_be_log: bool = True) -> float:
    """A y axis with a little room around finite ``values``, logarithmic where their ratio asks for it.

    Values above ``ceiling`` are cut off, unless all are. Returns the largest that is not.
    """
    values = values[values <= ceiling] if (values <= ceiling).any() else values
    low, high = float(values.min()), float(values.max())
    positive = values[values > 0]
    if may_be_log and positive.size and high > LOG_FROM * float(positive.min()):
        low = max(float(positive.min()), 1e-12 * high)
        log_axis(axes, "y", low, high)
        axes.set_ylim(low / (high / low) ** 0.04, high * (high / low) ** 0.06)
    else:
        room = (high - low) or abs(high) or 1.0
        axes.set_ylim(low - 0.05 * room, high + 0.08 * room)
    return high


def guessing_line(axes: Axes, chance: float) -> None:
    """A dotted line at the loss of guessing, where it is known and within the panel, with its name in the legend."""
    low, high = axes.get_ylim()
    if low < chance < high:
        axes.axhline(chance, color=MUTED, linewidth=0.8, linestyle=":", zorder=1, label="guessing")


def cut_note(axes: Axes, drawn: np.ndarray, high: float) -> None:
    """Says above the panel that values are cut off, and the largest of them, where any ``drawn`` exceeds ``high``."""
    largest = float(np.max(drawn, initial=-np.inf, where=np.isfinite(drawn)))
    if largest > high:
        text = f"cut off above; largest value {largest:.3g}"
        axes.text(1, 1.01, text, transform=axes.transAxes, ha="right", fontsize=7.5, color=MUTED)


def table_axes(axes: Axes, across: Sequence[float], down: Sequence[float], x: str, y: str, title: str) -> None:
    """Axes of a table of cells of size 1: ``across`` names the columns, ``down`` the rows from the top."""
    axes.grid(False)
    axes.set_label(ROWS)
    axes.set_xlim(0, len(across))
    axes.set_ylim(len(down), 0)
    axes.set_xticks(np.arange(len(across)) + 0.5, labels.numbers(across))
    axes.set_yticks(np.arange(len(down)) + 0.5, labels.numbers(down))
    axes.tick_params(length=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", pad=4)
