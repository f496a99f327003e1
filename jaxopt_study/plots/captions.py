"""What is said beside a figure: how to read it, and for those who cannot see it, what it shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.guessing import WORSE, count_worse
from jaxopt_study.analysis.minima import Minima, seed_minima
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.history import History
from jaxopt_study.plots import heatmaps, labels, selection


def over_seeds(histories: Sequence[History], several: str, one: str = "One seed.") -> str:
    """``several``, with the number of seeds in place of ``{}``, or ``one`` where there is one seed."""
    count = len({h.replicate for h in histories})
    return several.format(count) if count > 1 else one


def seeds(histories: Sequence[History]) -> str:
    """How many seeds there are and what the band shows."""
    several = "Lines are means over {} seeds, bands reach from the lowest to the highest."
    return over_seeds(histories, several, "One seed, so there is no band.")


def curves(lead: str, histories: Sequence[History], chance: float) -> str:
    """The caption of a figure of curves: ``lead`` and how to read the lines; ``chance`` is the loss of guessing."""
    parts = [lead, seeds(histories)]
    lengths = [{h.epochs for h in runs if h.status != "diverged"} for runs in by_configuration(histories)]
    if any(len(epochs) > 1 for epochs in lengths):
        parts.append("Where a line is thin, some of its seeds have ended.")
    if lost := len(selection.diverged(histories)):
        which = f"{labels.counted(lost, 'run')} of {len(histories)} diverged"
        parts.append(f"{which}: thin lines, not in the means, with a cross near the upper edge at the epoch.")
    return " ".join([*parts, *_worse(histories, chance)])


def table(lead: str, histories: Sequence[History], best: str, chance: float) -> str:
    """The caption of a heat map: ``lead`` and how to read the cells."""
    parts = [lead, f"The best {'of each row ' if best == 'row' else ''}is framed and starred."]
    parts.append(over_seeds(histories, "Cells give the mean over the seeds and below it their range.", ""))
    if selection.diverged(histories):
        parts.append("Hatched cells hold runs that diverged; they do not compete for the best.")
    if worse := _worse(histories, chance):
        parts += [*worse, "Their cells are dotted; what is no better than guessing has no star."]
    return " ".join(filter(None, parts))


def minima(lead: str, histories: Sequence[History], chance: float) -> str:
    """The caption of minimum losses against one hyperparameter."""
    several = "Points are means over the seeds, bars their range."
    parts = [lead, over_seeds(histories, several, "One seed, so there is no range."), "The best is ringed."]
    if selection.diverged(histories):
        parts.append("Runs that diverged (crosses) are not in the means.")
    return " ".join([*parts, *_worse(histories, chance)])


def _worse(histories: Sequence[History], chance: float) -> list[str]:
    """How many runs are no better than guessing, as a sentence; none of none."""
    worse = count_worse(histories, chance)
    which = f"{labels.counted(worse, 'run')} of {len(histories)}"
    return [f"{which} {'is' if worse == 1 else 'are'} {WORSE} ({labels.loss(chance)})."] if worse else []


def curves_alt(groups: Mapping[str, Sequence[History]], metrics: Sequence[str], chance: float) -> str:
    """Alternative text of curves: where each line starts and ends, a group a line."""
    return _alt("Line chart", {
        f"{labels.measure(metric)} by epoch": [_line(name, runs, metric, chance) for name, runs in groups.items()]
        for metric in metrics
    })  # fmt: skip


def minima_alt(histories: Sequence[History], by: str) -> str:
    """Alternative text of minimum losses against one hyperparameter."""
    groups = selection.grouped(histories, (by,))
    places = labels.values([key[0] for key in groups])
    return _alt("Line chart", {
        f"{labels.minimum(curve)} by {labels.hyperparameter(by)}": [
            f"{_loss(seed_minima(runs, curve).value)} at {place}"
            for place, runs in zip(places, groups.values(), strict=True)
        ]
        for curve in labels.LOSSES
    })  # fmt: skip


def table_alt(histories: Sequence[History], *, x: str, y: str, chance: float) -> str:
    """Alternative text of a heat map: the best cell of each row."""
    columns, rows = selection.values(histories, x), selection.values(histories, y)
    return _alt("Table in colour", {
        f"{labels.minimum(curve)}, best of each row": [
            f"{labels.hyperparameter(y)} {value}: {_best(cells, columns, x)}"
            for value, cells in zip(labels.numbers(rows), table, strict=True)
        ]
        for curve in labels.LOSSES
        for table in [heatmaps.table(histories, x=x, y=y, curve=curve, chance=chance)]
    })  # fmt: skip


def _alt(kind: str, parts: Mapping[str, Sequence[str]]) -> str:
    sentences = [labels.sentence(f"{what}: {'; '.join(values)}") for what, values in parts.items()]
    return f"{kind}. {'. '.join(sentences)}."


def _loss(value: float) -> str:
    return labels.loss(value) if np.isfinite(value) else "none"


def _line(name: str, runs: Sequence[History], metric: str, chance: float) -> str:
    rows = [np.asarray(h.curves.get(metric, ()), np.float64) for h in runs]
    rows = [row[np.isfinite(row)] for row in rows if np.isfinite(row).any()]
    lost = len(selection.diverged(runs))
    tail = "" if not lost else ", diverged" if lost == len(runs) else f", {lost} of {len(runs)} diverged"
    if worse := count_worse(runs, chance):
        tail += f", {WORSE}" if worse == len(runs) else f", {worse} of {len(runs)} {WORSE}"
    label = name.replace("\n", ", ")
    if not rows:
        return f"{label} no finite value{tail}"
    first, last = (labels.loss(float(np.mean([row[i] for row in rows]))) for i in (0, -1))
    return f"{label} from {first} to {last}{tail}"


def _best(row: Sequence[Minima], columns: Sequence[float], x: str) -> str:
    best = best_places(row)
    counts = {"diverged": sum(bool(c.diverged) for c in row), WORSE: sum(bool(c.worse) for c in row)}
    told = [f"{labels.counted(count, 'cell')} {word}" for word, count in counts.items() if count]
    tail = f" ({', '.join(told)})" if told else ""
    if not best:
        return f"none{tail}"
    texts = labels.numbers(columns)
    where = labels.listing(texts[i] for i in best)
    return f"{labels.loss(row[best[0]].value)} at {labels.hyperparameter(x)} {where}{tail}"
