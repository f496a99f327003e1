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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis.guessing import UNLEARNT, fails, status
from jaxopt_study.analysis.halves import folds
from jaxopt_study.analysis.intervals import Estimate, independent, seed_estimate
from jaxopt_study.analysis.minima import (
    COST,
    Lowest,
    Minima,
    Monitor,
    at_minimum,
    lowest,
    lowest_loss,
    seed_lowest,
    seed_minima,
)
from jaxopt_study.analysis.moderated import Prior, prior_of
from jaxopt_study.analysis.numbers import loss
from jaxopt_study.analysis.runs import Cell, Runs, configuration, describe
from jaxopt_study.history import TEST_CURVES, History, several_orders


def ranked(candidates: Sequence[Lowest | Minima]) -> list[int]:
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


def held_out(configurations: Sequence[Sequence[History]], curve: str = "val_loss") -> list[History]:
    """Of each seed the run in the configuration that is the best by other seeds, see ``halves.folds``.

    The best of many, told by the numbers that chose it, is too good by luck, the more of them there are. These runs
    have chosen nothing about themselves: their mean is what choosing by half of the seeds leads to. With one seed
    nothing else can choose, and it is the best itself. The other half chooses among the
    configurations that have the seed.

    Args:
        configurations: each the runs of its seeds, at least one.
        curve: what is to be small.
    """
    seeds = sorted({run.replicate for runs in configurations for run in runs})
    runs_of = [{run.replicate: run for run in runs} for runs in configurations]
    chosen: list[History] = []
    for told, choosing in folds(seeds):
        order = ranked([seed_lowest([runs[seed] for seed in choosing if seed in runs], curve) for runs in runs_of])
        chosen += [next(runs_of[place][seed] for place in order if seed in runs_of[place]) for seed in told]
    return sorted(chosen, key=lambda run: run.replicate)


def held_out_cell(cells: Sequence[Cell]) -> Cell:
    """The best of some configurations by name, with the runs that :func:`held_out` tells of it."""
    best = best_cell(cells)
    runs = {run.replicate: run for run in held_out([cell.histories for cell in cells])}
    return best._replace(by_seed=runs, held_out=len(cells) > 1)


class Best(NamedTuple):
    """The best configuration by all seeds, and what is to be expected of choosing so: means with 95% intervals.

    All numbers are of the runs of :func:`held_out`: of each seed the one that the other half of the seeds chooses.

    Attributes:
        optimizer: name of the rule.
        hyperparameters: its numbers.
        val_loss: mean of the smallest validation losses of the seeds that have one that counts.
        val_low, val_high: its interval, of relative errors and with moderated variances; NaN of one seed.
        val_accuracy: mean accuracy in the epochs of these losses; NaN where none was measured.
        train_loss: mean of the smallest training losses, with dropout on.
        epoch: mean of the epochs of the smallest validation losses.
        seeds: how many there are.
        note: what a reader must know: what was chosen by fewer seeds; seeds that diverged, or are no better
            than guessing.
        test_loss: mean of the test losses in the epochs of the smallest validation losses; NaN where nothing was held
            back, see ``settings.Settings.test_share``.
        test_low, test_high: its interval.
        test_accuracy: mean test accuracy in these epochs.
        method: which interval ``val_low`` and ``val_high`` are; empty without one.
        student_low, student_high: Student's of the same losses, which the other configurations say nothing to.
        monitor: the name of what it is chosen by in place of the validation loss; empty if by that.
        value: mean of the seeds' best values of that.
        low, high: its interval, Student's.
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
    test_loss: float = math.nan
    test_low: float = math.nan
    test_high: float = math.nan
    test_accuracy: float = math.nan
    method: str = ""
    student_low: float = math.nan
    student_high: float = math.nan
    monitor: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def facts(self) -> dict[str, str]:
        """What a notebook shows of it: a text a heading; what was not measured is left out."""
        own = {self.monitor.replace("_", " "): (self.value, loss)} if self.monitor else {}
        share, whole = "{:.1%}".format, "{:.0f}".format
        numbers = {**own, "validation loss": (self.val_loss, loss), "accuracy": (self.val_accuracy, share),
                   "test loss": (self.test_loss, loss), "test accuracy": (self.test_accuracy, share),
                   "training loss": (self.train_loss, loss), "epoch": (self.epoch, whole)}  # fmt: skip
        told = {name: write(value) for name, (value, write) in numbers.items() if not math.isnan(value)}
        ends = dict.fromkeys(own, (self.low, self.high))
        ends |= {"validation loss": (self.val_low, self.val_high), "test loss": (self.test_low, self.test_high)}
        for name, (low, high) in ends.items():
            if not math.isnan(low) and name in told:
                told[name] += f" (95% interval {loss(low)} to {loss(high)})"
        if self.method:
            told["interval"] = self.method
        told["seeds"] = str(self.seeds) + (f" ({self.note})" if self.note else "")
        return {"configuration": describe(self.optimizer, self.hyperparameters, {}), **told}

    def __repr__(self) -> str:
        configuration, *others = self.facts().items()
        return f"<{configuration[1]}: {', '.join(f'{name} {text}' for name, text in others)}>"

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in self.facts().items()]
        return f"<table>{''.join(rows)}</table>"


def best_of(
    configurations: Sequence[Sequence[History]],
    chance: float = math.inf,
    *,
    among: Sequence[Sequence[History]] | None = None,
    monitor: Monitor | None = None,
) -> Best:
    """The best of some configurations, each the runs of its seeds.

    Args:
        configurations: those to choose from.
        chance: the loss of guessing.
        among: all configurations of the study, which say how far seeds lie apart; ``configurations`` if None.
        monitor: what they are chosen by; the validation loss if None.
    """
    curve = "val_loss" if monitor is None else COST
    if monitor is not None:
        configurations = [[monitor.added(run) for run in runs] for runs in configurations]
    chosen, told = best_first(configurations, curve)[0][0], held_out(configurations, curve)
    minima = seed_minima(told, chance=chance)
    several = len(configurations) > 1
    count, ended = len(told), Counter(status(run, chance) for run in told)
    unlike = [f"{ended[how]} of {count} seeds {how}" for how in UNLEARNT if ended[how]]
    mixed = "; ".join(unlike)  # of whose losses there is no interval: the spread of those that learn says nothing
    halves = "each half of the seeds shows what the other half chose"

    def over_seeds(measure: Callable[[History], float], moderated: bool = True) -> Estimate:
        values = dict(
            enumerate(independent({run.replicate: measure(run) for run in told}))
        )  # what is lost is told below
        prior = prior_of_losses(among or configurations, told, measure, chance) if moderated else None
        return seed_estimate(values, prior=prior, positive=True, no_interval=mixed, halves=several)

    val, student = over_seeds(lowest_loss), over_seeds(lowest_loss, moderated=False)
    train = over_seeds(lambda run: lowest_loss(run, "train_loss"))
    test, accuracy = (over_seeds(partial(at_minimum, curve=curve)) for curve in TEST_CURVES)
    monitored = Estimate(math.nan, math.nan, math.nan, 0)
    if monitor is not None:
        best = dict(enumerate(independent({run.replicate: monitor.best(run).value for run in told})))
        monitored = seed_estimate(best, no_interval=mixed, halves=several)
    others = sum(configuration(run) != configuration(chosen) for run in told)
    alone = "chosen and told by the same run" if count == 1 and several else ""
    notes = [
        val.note if minima.seeds or not unlike else "",
        alone,
        f"{others} of {count} seeds show another configuration than this: {halves}" if others else "",
        f"interval over {val.seeds} orders of the data" if several_orders(run.replicate for run in told) else "",
        mixed if mixed not in val.note else "",
    ]
    return Best(
        chosen.optimizer, chosen.hyperparameters, val.value, val.low, val.high, minima.accuracy, train.value,
        minima.epoch, count, "; ".join(filter(None, notes)), test.value, test.low, test.high, accuracy.value,
        val.method, student.low, student.high,
        monitor.name if monitor else "", monitored.value, monitored.low, monitored.high,
    )  # fmt: skip


def prior_of_losses(
    configurations: Sequence[Sequence[History]],
    told: Sequence[History],
    measure: Callable[[History], float],
    chance: float,
) -> Prior | None:
    """How the variances of the logarithm of a loss are spread over the configurations that learn in every seed told."""
    learning = [runs for runs in configurations if not any(fails(run, chance) for run in runs)]
    if any(fails(run, chance) for run in told):
        return None
    measured = [{run.replicate: measure(run) for run in runs} for runs in learning]
    logs = [{seed: math.log(loss) for seed, loss in by_seed.items() if loss > 0} for by_seed in measured]
    return prior_of(logs, [run.replicate for run in told])


def best_first(configurations: Sequence[Sequence[History]], curve: str = "val_loss") -> list[Sequence[History]]:
    """Configurations, each the runs of its seeds, from the best on; ``curve`` is to be small."""
    return [configurations[place] for place in ranked([seed_lowest(runs, curve) for runs in configurations])]


def best_cell(cells: Sequence[Cell], curve: str = "val_loss") -> Cell:
    """The best of some configurations, of which there must be one; the first of equals."""
    return cells[ranked([seed_lowest(cell.histories, curve) for cell in cells])[0]]


def best_run(histories: Sequence[History], monitor: Monitor | None = None) -> int:
    """Place of the run with the smallest validation loss, or the best value of what is monitored, whatever its
    configuration; the first of equals."""
    values = [lowest_loss(one) if monitor is None else monitor.sign * monitor.best(one).value for one in histories]
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
    cells = runs.configurations
    best = mean_lowest(runs, best_cell(cells, curve), curve) if cells else math.nan
    return (runs.chance + best) / 2 if best <= 0.9 * runs.chance else math.nan


def progress(runs: Runs, history: History) -> float:
    """Share of the way from guessing (0) to the best of the study (1) that a run covers; 0 if it diverged.

    A run has converged where this is at least one half. NaN where :func:`halfway` is. The best is that of the run's
    seed: were it the mean of all, what luck is in it would be in all values and in no interval.
    """
    if history.status == "diverged":
        return 0.0
    best = _lowest_of_best(runs).get(history.replicate, 2 * halfway(runs) - runs.chance)
    return (runs.chance - lowest(runs, history)) / (runs.chance - best)


@functools.lru_cache(maxsize=8)
def _lowest_of_best(runs: Runs) -> dict[int, float]:
    """Of each seed the lowest loss in the configuration that the other half chooses, where it learns."""
    if math.isnan(halfway(runs)):
        return {}
    told = held_out([cell.histories for cell in runs.configurations])
    losses = {run.replicate: lowest(runs, run) for run in told}
    return {seed: loss for seed, loss in losses.items() if loss <= 0.9 * runs.chance}
