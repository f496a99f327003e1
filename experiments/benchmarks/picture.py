"""The figure: examples x configurations a second over the configurations, a panel an image size."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.benchmarks import cases
from experiments.benchmarks.measure import Row
from jaxopt_study.plots import style

PROGRAMS = {peer.name: peer for peer in (*cases.OURS, *cases.FIXED, *cases.PEERS)}


def figure(rows: Sequence[Row], ceilings: Mapping[int, float], title: str) -> Figure:
    """Medians with their range, both axes logarithmic.

    Args:
        rows: of one model, batch size and number of devices.
        ceilings: examples x configurations a second that the matrix products of a step allow, by image size.
        title: above it.
    """
    sizes = sorted({row.case.image_size for row in rows})
    measured = {row.name for row in rows}
    looks = {name: style.named_look("", i) for i, name in enumerate(name for name in PROGRAMS if name in measured)}
    with style.applied():
        drawn, panels = style.panels(len(sizes), title, height=3.4, right=2.7)
        for axes, size in zip(panels, sizes, strict=True):
            panel(axes, [row for row in rows if row.case.image_size == size and row.rates], ceilings[size], looks)
            axes.set_title(f"{size} x {size} pixels", loc="left")
        panels[0].set_ylabel("examples x configurations a second")
        style.legend(drawn, panels[-1], "", width=2.6)
    return drawn


def panel(axes: Axes, rows: Sequence[Row], ceiling: float, looks: Mapping[str, style.Look]) -> None:
    """One image size, with the look of each program by its name."""
    counts = sorted({row.case.configs for row in rows})
    for name, look in looks.items():
        mine = sorted((row for row in rows if row.name == name), key=lambda row: row.case.configs)
        if not mine:
            continue
        alone = not PROGRAMS[name].together
        x = counts if alone else [row.case.configs for row in mine]
        points = [mine[0]] * len(counts) if alone else mine
        medians, low, high = np.array([(row.median, min(row.rates), max(row.rates)) for row in points]).T
        marker = "None" if alone and len(counts) > 1 else look.marker
        axes.plot(x, medians, color=look.color, linestyle=look.linestyle, marker=marker, label=mine[0].title)
        axes.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0)
    axes.axhline(ceiling, color=style.MUTED, linewidth=1.0, linestyle=":", label="ceiling of the matrix products")
    rates = [rate for row in rows for rate in row.rates] + [ceiling]
    style.log_axis(axes, "y", min(rates), max(rates))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("configurations")
