"""What is said beside a figure: how to read it, and for those who cannot see it, what it shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxopt_study.analysis import Minima, best_places, seed_minima
from jaxopt_study.history import History
from jaxopt_study.plots import heatmaps, labels, selection


def seeds(histories: Sequence[History]) -> str:
    """How many seeds there are and what the band shows."""
    count = len({h.seed for h in histories})
    if count < 2:
        return "One seed, so there is no band."
    return f"Lines are means over {count} seeds, bands reach from the lowest to the highest."


def divergence(histories: Sequence[History]) -> str:
    """How many runs diverged and how that is drawn; empty if none did."""
    lost = len(selection.diverged(histories))
    if not lost:
        return ""
    which = f"{labels.counted(lost, 'run')} of {len(histories)} diverged"
    return f"{which}: thin lines, not in the means, with a cross near the upper edge at the epoch."


def endings(histories: Sequence[History]) -> str:
    """That lines grow thin, where seeds of one configuration ended at different epochs; else empty."""
    lengths: dict[tuple[object, ...], set[int]] = {}
    for h in histories:
        if h.status == "diverged":
            continue
        lengths.setdefault((h.optimizer, *sorted(h.hyperparameters.items())), set()).add(h.epochs)
    if all(len(ends) == 1 for ends in lengths.values()):
        return ""
    return "Where a line is thin, some of its seeds have ended."


def curves(lead: str, histories: Sequence[History]) -> str:
    """The caption of a figure of curves: ``lead`` and how to read the lines."""
    return " ".join(filter(None, (lead, seeds(histories), endings(histories), divergence(histories))))


def table(lead: str, histories: Sequence[History], best: str = "row") -> str:
    """The caption of a heat map: ``lead`` and how to read the cells."""
    several = len({h.seed for h in histories}) > 1
    parts = [lead, f"The best {'of each row ' if best == 'row' else ''}is framed and starred."]
    if several:
        parts.append("Cells give the mean over the seeds and below it their range.")
    if selection.diverged(histories):
        parts.append("Hatched cells hold runs that diverged; they do not compete for the best.")
    return " ".join(parts)


def curves_alt(groups: Mapping[str, Sequence[History]], metrics: Sequence[str]) -> str:
    """Alternative text of curves: where each line starts and ends, a group a line."""
    sentences = [
        f"{labels.measure(metric)} by epoch: " + "; ".join(_line(name, runs, metric) for name, runs in groups.items())
        for metric in metrics
    ]
    return "Line chart. " + ". ".join(map(labels.sentence, sentences)) + "."


def _line(name: str, runs: Sequence[History], metric: str) -> str:
    rows = [np.asarray(h.curves.get(metric, ()), np.float64) for h in runs]
    rows = [row[np.isfinite(row)] for row in rows]
    rows = [row for row in rows if row.size]
    lost = len(selection.diverged(runs))
    tail = "" if not lost else ", diverged" if lost == len(runs) else f", {lost} of {len(runs)} diverged"
    label = name.replace("\n", ", ")
    if not rows:
        return f"{label} no finite value{tail}"
    first, last = (labels.loss(float(np.mean([row[i] for row in rows]))) for i in (0, -1))
    return f"{label} from {first} to {last}{tail}"


def minima(lead: str, histories: Sequence[History]) -> str:
    """The caption of minimum losses against one hyperparameter."""
    several = len({h.seed for h in histories}) > 1
    bars = "Points are means over the seeds, bars their range." if several else "One seed, so there is no range."
    lost = "Runs that diverged (crosses) are not in the means." if selection.diverged(histories) else ""
    return " ".join(filter(None, (lead, bars, "The best is ringed.", lost)))


def minima_alt(histories: Sequence[History], by: str) -> str:
    """Alternative text of minimum losses against one hyperparameter."""
    groups = selection.grouped(histories, (by,))
    sentences = []
    for value in ("min_train_loss", "min_val_loss"):
        cells = [seed_minima(runs, heatmaps.curve_of(value)) for runs in groups.values()]
        points = (
            f"{labels.loss(c.value) if np.isfinite(c.value) else 'none'} at {labels.number(float(key[0]))}"
            for key, c in zip(groups, cells, strict=True)
        )
        sentences.append(
            f"{labels.sentence(labels.measure(value))} by {labels.hyperparameter(by)}: " + "; ".join(points)
        )
    return "Line chart. " + ". ".join(sentences) + "."


def dots(histories: Sequence[History]) -> str:
    """How bars are to be read."""
    count = len({h.seed for h in histories})
    return "One seed a configuration." if count < 2 else f"Bars are means over up to {count} seeds, dots the seeds."


def medians(histories: Sequence[History]) -> str:
    """How the cells of convergence ratios sum up the seeds."""
    count = len({h.seed for h in histories})
    return "One seed." if count < 2 else f"Cells give the median over {count} seeds, each paired with itself."


def table_alt(histories: Sequence[History], *, x: str, y: str, values: Sequence[str]) -> str:
    """Alternative text of a heat map: the best cell of each row."""
    sentences = []
    for value in values:
        rows = []
        cells = heatmaps.table(histories, x=x, y=y, value=value)
        for at, row in zip(selection.values(histories, y), cells, strict=True):
            rows.append(
                f"{labels.hyperparameter(y)} {labels.number(at)}: {_best(row, selection.values(histories, x), x)}"
            )
        sentences.append(f"{labels.measure(value)}, best of each row: " + "; ".join(rows))
    return "Table in colour. " + ". ".join(sentences) + "."


def _best(row: Sequence[Minima], columns: Sequence[float], x: str) -> str:
    best = best_places(row)
    lost = sum(bool(c.diverged) for c in row)
    tail = f" ({labels.counted(lost, 'cell')} diverged)" if lost else ""
    if not best:
        return f"none{tail}"
    where = labels.listing(labels.number(columns[i]) for i in best)
    return f"{labels.loss(row[best[0]].value)} at {labels.hyperparameter(x)} {where}{tail}"
