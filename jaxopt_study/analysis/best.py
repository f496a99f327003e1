"""Which configuration is the best: this alone decides it, for tables, figures, claims, the terminal and saved weights.

The best has the smallest mean over its seeds of the run's smallest loss. A run that diverged or failed has no loss that
counts: its configuration is the best only where none is whose runs all ended otherwise. Neither is one of fewer seeds
than half of those compared have, as in a study that was interrupted, while there are others. What is no better than
guessing is starred nowhere.
"""

import functools
import html
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.guessing import WORSE
from jaxopt_study.analysis.intervals import seed_estimate
from jaxopt_study.analysis.minima import Minima, lowest, lowest_loss, seed_minima
from jaxopt_study.analysis.runs import Cell, Runs, describe
from jaxopt_study.history import History


def ranked(candidates: Sequence[Minima]) -> list[int]:
    """Places of the configurations from the best on, equals in the order given; those without a loss last."""
    usual = statistics.median_low([one.runs for one in candidates if one.runs] or [0])

    def rank(place: int) -> tuple[bool, bool, float]:
        one = candidates[place]
        return not one.is_whole, one.runs < usual, one.value if one.seeds else math.inf

    return sorted(range(len(candidates)), key=rank)


def best_places(candidates: Sequence[Minima]) -> list[int]:
    """Places of the best configuration and of its equals.

    None where each has a run without a loss that counts, or the best has not learnt.
    """
    order = ranked(candidates)
    best = candidates[order[0]] if order else None
    if best is None or not best.is_whole or not best.learnt:
        return []
    return sorted(place for place in order if candidates[place].is_whole and candidates[place].value == best.value)


class Best(NamedTuple):
    """A configuration and what its seeds say of it: means, with the 95% interval of the validation loss.

    Attributes:
        optimizer: name of the rule.
        hyperparameters: its numbers.
        val_loss: mean of the smallest validation losses of the seeds that have one that counts.
        val_low, val_high: its interval; NaN of one seed.
        val_accuracy: mean accuracy in the epochs of these losses; NaN where none was measured.
        train_loss: mean of the smallest training losses, with dropout on.
        epoch: mean of the epochs of the smallest validation losses.
        seeds: how many there are.
        note: what a reader must know: seeds that diverged, or are no better than guessing.
    """

    optimizer: str
    hyperparameters: Mapping[str, float]
    val_loss: float
    val_low: float
    val_high: float
    val_accuracy: float
    train_loss: float
    epoch: float
    seeds: int
    note: str

    def facts(self) -> dict[str, str]:
        """What a notebook shows of it: a text a heading; what was not measured is left out."""
        numbers = {"validation loss": (self.val_loss, ".4f"), "accuracy": (self.val_accuracy, ".1%"),
                   "training loss": (self.train_loss, ".4f"), "epoch": (self.epoch, ".0f")}  # fmt: skip
        told = {name: f"{value:{digits}}" for name, (value, digits) in numbers.items() if not math.isnan(value)}
        if not math.isnan(self.val_low):
            told["validation loss"] += f" (95% interval {self.val_low:.4f} to {self.val_high:.4f})"
        told["seeds"] = str(self.seeds) + (f" ({self.note})" if self.note else "")
        return {"configuration": describe(self.optimizer, self.hyperparameters, {}), **told}

    def __repr__(self) -> str:
        configuration, *others = self.facts().items()
        return f"<{configuration[1]}: {', '.join(f'{name} {text}' for name, text in others)}>"

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in self.facts().items()]
        return f"<table>{''.join(rows)}</table>"


def estimated(histories: Sequence[History], chance: float = math.inf) -> Best:
    """What the runs of one configuration, one a seed, say of it; ``chance`` is the loss of guessing."""
    minima = seed_minima(histories, chance=chance)
    val, train = (
        seed_estimate([loss for loss in (lowest_loss(run, curve) for run in histories) if math.isfinite(loss)])
        for curve in ("val_loss", "train_loss")
    )
    first, count, lost = histories[0], len(histories), len(minima.diverged)
    notes = [
        val.note if minima.seeds or not lost else "",
        f"{lost} of {count} seeds diverged" if lost else "",
        f"{minima.worse} of {count} seeds {WORSE}" if minima.worse else "",
    ]
    return Best(
        first.optimizer, first.hyperparameters, val.value, val.low, val.high, minima.accuracy, train.value,
        minima.epoch, count, "; ".join(filter(None, notes)),
    )  # fmt: skip


def best_first(configurations: Sequence[Sequence[History]]) -> list[Sequence[History]]:
    """Configurations, each the runs of its seeds, from the best on."""
    return [configurations[place] for place in ranked([seed_minima(runs) for runs in configurations])]


def best_cell(cells: Sequence[Cell], curve: str = "val_loss") -> Cell:
    """The best of some configurations, of which there must be one; the first of equals."""
    return cells[ranked([seed_minima(cell.histories, curve) for cell in cells])[0]]


def best_run(histories: Sequence[History]) -> int:
    """Place of the run with the smallest validation loss, whatever its configuration; the first of equals."""
    values = [lowest_loss(history) for history in histories]
    return min(range(len(values)), key=lambda place: math.inf if math.isnan(values[place]) else values[place])


def mean_lowest(runs: Runs, cell: Cell, curve: str = "val_loss") -> float:
    """Mean of :func:`jaxopt_study.analysis.minima.lowest` over the seeds of a configuration."""
    return float(np.mean([lowest(runs, history, curve) for history in cell.histories]))


@functools.lru_cache(maxsize=8)
def halfway(runs: Runs, curve: str = "val_loss") -> float:
    """The loss half-way from guessing to the best configuration of the study: below it a run counts as converged.

    Returns:
        NaN where no configuration gets a tenth below guessing, so that nothing can be said to have converged.
    """
    cells = [cell for optimizer in runs.optimizers for cell in runs.cells(optimizer)]
    best = mean_lowest(runs, best_cell(cells, curve), curve) if cells else math.nan
    return (runs.chance + best) / 2 if best <= 0.9 * runs.chance else math.nan


def progress(runs: Runs, history: History) -> float:
    """Share of the way from guessing (0) to the best of the study (1) that a run covers; 0 if it diverged.

    A run has converged where this is at least one half. NaN where :func:`halfway` is.
    """
    if history.status == "diverged":
        return 0.0
    return (runs.chance - lowest(runs, history)) / (2 * (runs.chance - halfway(runs)))
