"""Figures for print: as wide as a paper's column or its text, texts of 7 to 9 points, no title, the legend below.

A figure is laid out for the screen first; :func:`fit` lays the same out anew, with Matplotlib's constrained layout.
"""

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.text import Text

from jaxopt_study.errors import InputError
from jaxopt_study.files import write_atomically
from jaxopt_study.plots import style

NARROWEST, WIDEST = 2.0, 20.0
"""Inches that a column may have."""
SMALLEST, LARGEST = 7.0, 9.0
"""Points of texts."""
SMALLER = 8 / 9
"""A text's size in print, over that on the screen."""
THINNER = 0.75
"""The same of lines, markers and the rows of a table."""
BAR = 0.04
"""Width of a scale of colours, over that of a panel."""
MOST_NAMES = 0.4
"""Share of a column that the names beside a panel may take; with longer ones it has the width of the text."""


class Paper(NamedTuple):
    """Widths in inches: of a column, and of the text across all columns."""

    column: float = 3.35
    text: float = 6.9


def paper_of(widths: Sequence[object]) -> Paper:
    """The widths as numbers; InputError: they are not two from :data:`NARROWEST` to :data:`WIDEST`, ascending."""
    allowed = f"allowed are two widths in inches from {NARROWEST:g} to {WIDEST:g}: of a column, and of the text"
    try:
        column, text = (float(str(width)) for width in widths)
    except ValueError as error:
        raise InputError("paper_widths", list(widths), allowed) from error
    if not NARROWEST <= column <= text <= WIDEST:
        raise InputError("paper_widths", list(widths), allowed)
    return Paper(column, text)


def save(figure: Figure, folder: str | os.PathLike[str], name: str, paper: Paper) -> Path:
    """Writes ``folder/name.pdf``, fonts embedded as TrueType; the figure is changed, the same one gives the same bytes.

    Raises:
        EnvironmentFault: the folder cannot be written or the disk is full.
    """
    path = Path(folder) / f"{name}.pdf"
    with style.applied():
        fit(figure, paper)
        metadata = {"CreationDate": None}
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="pdf", metadata=metadata))
    return path


def fit(figure: Figure, paper: Paper) -> None:
    """Lays a figure out for print: one panel in a column if its names leave room for it, several across the text.

    Cells of a table keep what fits into them; where their numbers do not, the panels are one below the other.
    """
    FigureCanvasAgg(figure)
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != style.COLOURS]
    bars = [axes for axes in figure.axes if axes.get_label() == style.COLOURS]
    screen = _inches(panels[0])
    _restyle(figure)
    around = panels[0].get_tightbbox()
    names = around.width / figure.dpi - screen[0] if around else 0.0
    wide = len(panels) > 1 or names > MOST_NAMES * paper.column
    figure.set_figwidth(paper.text if wide else paper.column)
    of_rows = panels[0].get_label() == style.ROWS
    in_grid = figure.get_layout_engine() is not None
    down = len({round(axes.get_position().y0, 3) for axes in panels})
    for rows in (down, len(panels)):
        if not in_grid:
            _place(figure, panels, bars, rows)
        _legend_below(figure)
        _stretch(figure, panels[0], screen, rows)
        fitting = [_fit_cells(axes) for axes in panels if of_rows]
        if all(fitting):
            break
    if not of_rows:
        wrapped = [_wrap(axes) for axes in panels]
        if any(wrapped):
            _stretch(figure, panels[0], screen, rows)
        for axes in panels:
            _thin(axes)


def _inches(axes: Axes) -> tuple[float, float]:
    dots = axes.figure.dpi
    return axes.bbox.width / dots, axes.bbox.height / dots


def _restyle(figure: Figure) -> None:
    for text in figure.findobj(Text):
        text.set_fontsize(min(max(float(text.get_fontsize()) * SMALLER, SMALLEST), LARGEST))
        if text.get_gid() == style.TITLE:
            text.set_visible(False)
            text.set_in_layout(False)
    for line in figure.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * THINNER)
        line.set_markersize(line.get_markersize() * THINNER)
    for axes in figure.axes:
        axes.tick_params(which="both", labelsize=SMALLEST)


def _place(figure: Figure, panels: Sequence[Axes], bars: Sequence[Axes], rows: int) -> None:
    columns = -(-len(panels) // rows)
    grid = GridSpec(rows, columns + len(bars), figure=figure, width_ratios=[1.0] * columns + [BAR] * len(bars))
    for at, axes in enumerate(panels):
        axes.set_subplotspec(grid[divmod(at, columns)])
    for bar in bars:
        bar.set_subplotspec(grid[:, -1])
    figure.set_layout_engine("constrained")


def _legend_below(figure: Figure) -> None:
    """The legend below the panels, in as many columns as there is room for; above if a label of all is below them."""
    place: Any = f"outside {'upper' if figure.get_supxlabel() else 'lower'} center"
    for old in list(figure.legends):
        handles, title = [one for one in old.legend_handles if one is not None], old.get_title().get_text()
        names = [" ".join(text.get_text().split("\n")) for text in old.get_texts()]
        for columns in range(len(names), 0, -1):
            old.remove()
            old = figure.legend(
                handles, names, title=title or None, ncols=columns, loc=place, alignment="left",
                fontsize=SMALLEST, title_fontsize=SMALLEST, handlelength=2.4, columnspacing=1.2, borderaxespad=0.2,
            )  # fmt: skip
            if old.get_window_extent().width < figure.bbox.width:
                break


def _stretch(figure: Figure, panel: Axes, screen: tuple[float, float], rows: int) -> None:
    """Makes the figure as high as its panels, which keep the shape of the screen, or their lines of text, need."""
    layout = figure.get_layout_engine()
    assert layout is not None
    for _ in range(2):
        layout.execute(figure)
        width, height = _inches(panel)
        wanted = screen[1] * (THINNER if panel.get_label() == style.ROWS else width / screen[0])
        figure.set_figheight(figure.get_figheight() + rows * (wanted - height))
    layout.execute(figure)


def _fit_cells(axes: Axes) -> bool:
    """Leaves out of a table's cells the star and the second line that do not fit into them; whether all numbers do."""
    (left, _), (right, _) = axes.transData.transform([(0, 0), (1, 0)])
    fits = True
    for text in axes.texts:
        if not _is_within(text, 0.86 * (right - left)):
            text.set_text(text.get_text().replace(style.STAR, ""))
        fits = fits and (_is_within(text, right - left) or text.get_label() == style.SMALL)
    small = [text for text in axes.texts if text.get_label() == style.SMALL]
    if not all(_is_within(text, 0.95 * (right - left)) for text in small):
        for text in axes.texts:
            text.set_visible(text not in small)
            text.set_y(int(text.get_position()[1]) + 0.5)
    return fits


def _is_within(text: Text, width: float) -> bool:
    return bool(text.get_window_extent().width < width)


def _wrap(axes: Axes) -> bool:
    """Puts the title and the label below a panel into several lines where they are wider than it; whether one is."""
    titles = [child for child in axes.get_children() if isinstance(child, Text) and child not in axes.texts]
    wide = [text for text in [*titles, axes.xaxis.label] if not _is_within(text, axes.bbox.width)]
    for text in wide:
        most = int(len(text.get_text()) * axes.bbox.width / text.get_window_extent().width)
        text.set_text(textwrap.fill(text.get_text(), max(most, 1)))
    return bool(wide)


def _thin(axes: Axes) -> None:
    """Hides numbers below a panel that would stand in others'."""
    end, (low, high) = -1.0, sorted(axes.get_xlim())
    for label in axes.get_xticklabels():
        box = label.get_window_extent()
        if label.get_text() and box.width and low <= label.get_position()[0] <= high:
            label.set_visible(box.x0 > end)
            end = max(end, box.x1 + 5.0) if label.get_visible() else end
