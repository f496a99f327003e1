"""What the person at the terminal gets at the end: a table, what was left out, where everything is."""

import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.article.claim import Judgement, counted
from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.guessing import WORSE, status
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.analysis.numbers import listed, loss
from jaxopt_study.analysis.runs import by_configuration, describe
from jaxopt_study.engine.plan import Part
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.report import tables, wording
from jaxopt_study.storage import workdir

if TYPE_CHECKING:
    from jaxopt_study.api import Study


def show(
    histories: Sequence[History],
    best_runs: tables.Table,
    judgements: Sequence[Judgement],
    notes: Sequence[str],
    folder: Path,
    chance: float,
) -> None:
    """Prints it all to stdout; ``chance`` is the loss of guessing. Of claims nothing is said where none applies."""
    console = wide_console()
    grouped = by_configuration(histories)
    # Of many configurations the best of each optimizer is shown.
    console.print(table(grouped, chance) if len(grouped) <= 60 else best_table(best_runs))
    for note in notes:
        console.print(note)
    if judgements:
        console.print(f"claims: {counted(judgements)}")
    console.print(closing_line(folder), soft_wrap=True)


def wide_console() -> Console:
    """Stdout, wide enough for the tables where it is no terminal; what is in brackets is text."""
    return Console(width=shutil.get_terminal_size((120, 24)).columns, highlight=False, markup=False)


def closing_line(folder: Path) -> str:
    """Where it is and how fast it went."""
    stats = workdir.usable(workdir.read_stats, folder / "stats.json")
    speed = ""
    if stats:
        speed = (
            f"; {stats['seconds']:.0f} s ({stats['compile_seconds']:.0f} s compiling), "
            f"{stats['examples_per_second']:,.0f} examples/s, goodput {stats['goodput']:.2f}"
        )
    return f"{folder}: report.html, claims.csv, summary.csv, tables/, figures/, runs/*.parquet{speed}"


def best_table(best_runs: tables.Table) -> Table:
    """The best configuration of each optimizer, beside the article's best run where the table has that."""
    result = Table(title="Best configuration of each optimizer, by its lowest validation loss (mean over seeds)")
    beside = ["the article's"] if "article_val_loss" in best_runs.columns else []
    for name in ("optimizer", "min val loss", "95% interval", "accuracy", "at epoch", "hyperparameters", *beside):
        result.add_column(name, justify="left" if name in ("optimizer", "hyperparameters") else "right")
    for row in best_runs.records():
        result.add_row(
            str(row["optimizer"]),
            wording.cell(row["val_loss"], "val_loss") or str(row["note"]),
            " - ".join(filter(None, (wording.cell(row[end], "val_loss") for end in ("val_low", "val_high")))),
            _number(row["val_accuracy"], ".1%"),
            _number(row["epoch"], ".0f"),
            f"{row['hyperparameters']}{f' ({WORSE})' if WORSE in row['note'] else ''}",
            *(wording.cell(row["article_val_loss"], "val_loss") for _ in beside),
        )
    return result


def _number(value: tables.Value, digits: str) -> str:
    return f"{value:{digits}}" if isinstance(value, int | float) and np.isfinite(value) else ""


CONFIGURATION = "configuration"


def table(grouped: Sequence[Sequence[History]], chance: float = math.inf) -> Table:
    """A row a configuration, over its seeds: lowest validation loss, its epoch, how the runs ended."""
    names = varied([history for group in grouped for history in group])
    result = Table(title="Lowest validation loss of each configuration (mean over seeds, lowest to highest)")
    for name in names:
        if name == CONFIGURATION:
            result.add_column(name, overflow="fold")
        else:
            result.add_column(name, justify="right")
    for name in ("min val loss", "range", "accuracy", "at epoch", "train loss", "epochs", "status"):
        result.add_column(name, justify="left" if name == "status" else "right", overflow="fold")
    several = {name: [group[0].hyperparameters.get(name) for group in grouped] for name in names}
    texts = {name: wording.apart(values) for name, values in several.items()}
    best = best_places([seed_minima(group, chance=chance) for group in grouped])[:1]
    for place, group in enumerate(grouped):
        values = {name: of[place] for name, of in texts.items()} | {CONFIGURATION: in_words(group[0])}
        lowest, low, high, epoch, train, accuracy, *_ = seed_minima(group, chance=chance)
        mark = " *" if place in best else ""
        result.add_row(
            *(values.get(name, "") for name in names),
            f"{loss(lowest)}{mark}" if np.isfinite(lowest) else "none",
            f"{loss(low)} - {loss(high)}" if len(group) > 1 and np.isfinite(lowest) else "",
            _number(accuracy, ".1%"),
            _number(epoch, ".0f"),
            wording.cell(train, "train_loss"),
            "-".join(dict.fromkeys(str(f(h.epochs for h in group)) for f in (min, max))),
            endings(group, chance),
            style="bold" if mark else None,
        )
    result.caption = "* the lowest" if best else None
    return result


def varied(histories: Sequence[History]) -> list[str]:
    """Names of what differs between the configurations; of several rules, whose numbers are others, one for all."""
    if len({history.optimizer for history in histories}) > 1:
        return [CONFIGURATION]
    names = dict.fromkeys(name for history in histories for name in history.hyperparameters)
    several = [n for n in names if len({history.hyperparameters.get(n) for history in histories}) > 1]
    return several or [CONFIGURATION]


def in_words(history: History) -> str:
    """A rule by its title, and its numbers but for the defaults."""
    family = registry.family(history.optimizer)
    usual = {number.name: number.default for number in family.hyperparameters}
    return describe(family.title, history.hyperparameters, usual)


def endings(group: Sequence[History], chance: float) -> str:
    """How the runs of a configuration ended; divergence with its epoch."""
    words = [f"diverged in epoch {h.diverged_epoch}" if h.status == "diverged" else status(h, chance) for h in group]
    return ", ".join(f"{words.count(w)} x {w}" if len(set(words)) > 1 else w for w in dict.fromkeys(words))


def show_plan(study: "Study") -> list[Part]:
    """Prints what a study would train, and returns it; see jaxopt_study.engine.plan."""
    parts = study.plan()
    of_axes = ["axes"] * any(part.model for part in parts)
    names = ("optimizer", *of_axes, "batch", "runs", "in the store", "slots", "devices", "GiB a device", "compiling")
    table = Table(title=f"{study.folder}: what would be trained", caption="at most: if no run stops early")
    for name in (*names, "an epoch of all slots", "at most"):
        table.add_column(name, justify="left" if name in ("optimizer", "axes") else "right")
    for part in parts:
        counts = (part.batch_size, part.runs, part.stored, part.slots, part.devices)
        times = [part.compile_seconds, part.epoch_seconds, part.most_seconds]
        table.add_row(
            part.optimizer,
            *[part.model] * len(of_axes),
            *map(str, counts),
            f"{part.memory_bytes / 2**30:.2f}",
            *(wording.duration(seconds) for seconds in times),
        )
    console = wide_console()
    console.print(table)
    for line in asked(study.runs):
        console.print(line)
    left = sum(part.runs - part.stored for part in parts)
    console.print(
        f"{left} runs to train, at most {wording.duration(sum(part.most_seconds for part in parts))}; nothing trained"
    )
    return parts


def show_costs(study: "Study") -> None:
    """Measures what a step of each rule costs, if that is not known yet, and prints it; says so while it takes."""
    known = workdir.usable(workdir.read_stats, study.folder / "stats.json").get("costs", {})
    if not known.keys() >= set(study.rules):
        told = "measuring what a step of each rule costs over SGD's, each alone: about a compilation a rule .."
        print(told, file=sys.stderr, flush=True)
    times = [f"{rule} {cost.seconds_over_sgd:.2f}" for rule, cost in study.costs().items()]
    print(f"seconds of a step over SGD's: {', '.join(times)}")


SHOWN_VALUES = 12


def asked(runs: Sequence[Run]) -> list[str]:
    """What is to be trained, a line a rule: how many configurations and seeds, and the values of each number."""
    lines = []
    for optimizer in dict.fromkeys(run.optimizer for run in runs):
        of_rule = [run for run in runs if run.optimizer == optimizer]
        points = dict.fromkeys(run.hyperparameters for run in of_rule)
        names = dict.fromkeys(name for point in points for name, _ in point)
        values = {name: sorted({dict(point)[name] for point in points if name in dict(point)}) for name in names}
        seeds = len({run.seed for run in of_rule})
        names_of = {name: number.names for name, number in registry.family(optimizer).known().items()}
        told = "; ".join(f"{name} {_listed(each, names_of.get(name, ()))}" for name, each in values.items())
        lines.append(f"{optimizer}: {len(points)} configurations x {seeds} seeds: {told}")
    return lines


def _listed(values: Sequence[float], names: Sequence[str]) -> str:
    """Numbers, or the names that they stand for."""
    return ", ".join(names[int(value)] for value in values) if names else listed(values, SHOWN_VALUES)
