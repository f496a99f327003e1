"""What is said beside a figure: how to read it, and for those who cannot see it, what it shows."""

from collections.abc import Sequence

import numpy as np

from jaxopt_study.history import History
from jaxopt_study.plots import heatmaps, labels, selection


def seeds(histories: Sequence[History]) -> str:
    """How many seeds there are and what the band shows."""
    count = len({h.seed for h in histories})
    if count < 2:
        return "One seed, so there is no band."
    return f"Lines are means over {count} seeds, bands reach from the least to the greatest of them."


def divergence(histories: Sequence[History]) -> str:
    """How many runs diverged and how that is drawn; empty if none did."""
    lost = len(selection.diverged(histories))
    if not lost:
        return ""
    return f"{labels.counted(lost, 'run')} of {len(histories)} diverged: thin lines, not in the means, with a cross at the upper edge at the epoch."


def endings(histories: Sequence[History]) -> str:
    """That lines grow thin, where seeds of one configuration ended at different epochs; else empty."""
    lengths: dict[tuple[object, ...], set[int]] = {}
    for h in histories:
        lengths.setdefault((h.optimizer, *sorted(h.hyperparameters.items())), set()).add(h.epochs)
    if all(len(found) == 1 for found in lengths.values()):
        return ""
    return "Where a line is thin, some of its seeds have ended."


def curves(lead: str, histories: Sequence[History]) -> str:
    """The caption of a figure of curves: ``lead`` and how to read the lines."""
    return " ".join(filter(None, (lead, seeds(histories), endings(histories), divergence(histories))))


def table(lead: str, histories: Sequence[History]) -> str:
    """The caption of a heat map: ``lead`` and how to read the cells."""
    several = len({h.seed for h in histories}) > 1
    parts = [lead, "The best of each row is framed and starred."]
    if several:
        parts.append("Cells give the mean over the seeds and below it their range.")
    if selection.diverged(histories):
        parts.append("Hatched cells hold runs that diverged; they do not compete for the best.")
    return " ".join(parts)


def curves_alt(histories: Sequence[History], by: str, metrics: Sequence[str]) -> str:
    """Alternative text of curves: each line's first, least and last value."""
    told = [
        f"{labels.measure(metric)} by epoch: "
        + "; ".join(_line(key, runs, by, metric) for key, runs in _groups(histories, by))
        for metric in metrics
    ]
    return "Line chart. " + ". ".join(told) + "."


def _groups(histories: Sequence[History], by: str) -> list[tuple[str, list[History]]]:
    found = selection.grouped(histories, (by,))
    return [
        (labels.optimizer(k) if isinstance(k, str) else f"{labels.hyperparameter(by)} {labels.number(k)}", runs)
        for (k, *_), runs in found.items()
    ]


def _line(name: str, runs: Sequence[History], by: str, metric: str) -> str:
    del by
    values = [v[np.isfinite(v)] for v in (np.asarray(h.curves.get(metric, ()), np.float64) for h in runs)]
    values = [v for v in values if v.size]
    lost = len(selection.diverged(runs))
    tail = "" if not lost else ", diverged" if lost == len(runs) else f", {lost} of {len(runs)} diverged"
    if not values:
        return f"{name} no finite value{tail}"
    first, last = (labels.loss(float(np.mean([v[i] for v in values]))) for i in (0, -1))
    return f"{name} from {first} to {last}{tail}"


def table_alt(histories: Sequence[History], *, x: str, y: str, values: Sequence[str]) -> str:
    """Alternative text of a heat map: the best cell of each row."""
    told = []
    for value in values:
        rows = []
        cells = heatmaps.table(histories, x=x, y=y, value=value)
        for at, row in zip(selection.values(histories, y), cells, strict=True):
            rows.append(
                f"{labels.hyperparameter(y)} {labels.number(at)}: {_best(row, selection.values(histories, x), x)}"
            )
        told.append(f"{labels.measure(value)}, best of each row: " + "; ".join(rows))
    return "Table in colour. " + ". ".join(told) + "."


def _best(row: Sequence[heatmaps.Cell], columns: Sequence[float], x: str) -> str:
    best = heatmaps.best_of(row)
    lost = sum(bool(c.diverged) for c in row)
    tail = f" ({labels.counted(lost, 'cell')} diverged)" if lost else ""
    if not best:
        return f"none{tail}"
    where = labels.listing(labels.number(columns[i]) for i in best)
    return f"{labels.loss(row[best[0]].value)} at {labels.hyperparameter(x)} {where}{tail}"
