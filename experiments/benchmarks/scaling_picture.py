"""The figure of a simulated study on many workers: seconds, idle share and driver load over the workers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from jaxopt_study.plots import picture, style

SHARES = {"idle_share": "workers idle", "driver_load": "driver busy"}


def save(rows: Sequence[Mapping[str, Any]], path: Path) -> list[Path]:
    """Writes the figure as PNG and SVG.

    Args:
        rows: of experiments.benchmarks.scaling_model, by ascending workers.
        path: without its ending.
    """
    with style.applied():
        drawn, (left, right) = style.panels(2, "A study on so many workers, simulated")
        _seconds(left, rows)
        _shares(right, rows)
        style.legend(drawn, right, "")
    return picture.save(drawn, path.parent, path.name)


def _seconds(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    look = style.named_look("", 0)
    seconds = [row["seconds"] for row in rows]
    measured = [(row["workers"], row["measured_seconds"]) for row in rows if row["measured_seconds"]]
    values = seconds + [value for _, value in measured]
    style.log_axis(axes, "y", min(values), max(values))
    axes.plot([row["workers"] for row in rows], seconds, color=look.color, marker=look.marker)
    if measured:
        axes.plot(*zip(*measured, strict=True), linestyle="None", marker="x", color=style.MUTED)
    _workers_axis(axes, rows)
    axes.set_title("seconds" + (" (x: measured)" if measured else ""), loc="left")


def _shares(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for i, (name, label) in enumerate(SHARES.items()):
        look = style.named_look("", i)
        line: dict[str, Any] = {"color": look.color, "linestyle": look.linestyle, "marker": look.marker, "label": label}
        axes.plot([row["workers"] for row in rows], [row[name] for row in rows], **line)
    axes.set_ylim(-0.02, 1.02)
    _workers_axis(axes, rows)
    axes.set_title("share of the time", loc="left")


def _workers_axis(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("workers")
    axes.set_xlim(rows[0]["workers"] / 1.2, rows[-1]["workers"] * 1.2)
