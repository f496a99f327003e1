"""Tables of a study as CSV and as LaTeX (booktabs): every run, and the best configurations."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxopt_study.analysis import (
    Cell,
    minimum,
    seed_estimate,
)
from jaxopt_study.files import write_text
from jaxopt_study.history import History

Value = str | int | float | None
MEASURED = ("val_loss", "val_low", "val_high", "train_loss", "epoch", "hyperparameters", "seeds", "note")
"""Columns of what :func:`measured` gives for a configuration."""


class Table(NamedTuple):
    """Rows under named columns; None and NaN are empty cells."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]


def summary(histories: Iterable[History]) -> Table:
    """One row a run, in the order given, labelled as the histories are.

    Columns: optimizer, each hyperparameter by its name (empty where the rule has none of it), seed, min_val_loss,
    min_val_epoch, train_loss_at_min_val, min_train_loss, min_train_epoch, epochs, status, diverged_epoch; where a run
    failed, also reason.
    """
    runs = list(histories)
    names = tuple(dict.fromkeys(name for run in runs for name in run.hyperparameters))
    minima = ("min_val_loss", "min_val_epoch", "train_loss_at_min_val", "min_train_loss", "min_train_epoch")
    columns = ("optimizer", *names, "seed", *minima, "epochs", "status", "diverged_epoch")
    rows = [_summary_row(run, names) for run in runs]
    if any(run.reason for run in runs):
        columns, rows = (*columns, "reason"), [(*row, run.reason) for row, run in zip(rows, runs, strict=True)]
    return Table(columns, rows)


def _summary_row(run: History, names: Sequence[str]) -> tuple[Value, ...]:
    val, train = (minimum(run.curves[curve]) for curve in ("val_loss", "train_loss"))
    beside = float(run.curves["train_loss"][val.epoch - 1]) if val.epoch else math.nan
    point = [run.hyperparameters.get(name) for name in names]
    losses = (val.value, val.epoch, beside, train.value, train.epoch)
    return (run.optimizer, *point, run.seed, *losses, run.epochs, run.status, run.diverged_epoch)


def best_configurations(histories: Iterable[History]) -> Table:
    """The configuration of each optimizer with the lowest mean of the smallest validation losses over its seeds.

    Columns: optimizer and :data:`MEASURED`.
    """
    found: dict[str, dict[tuple[tuple[str, float], ...], dict[int, History]]] = {}
    for one in histories:
        point = tuple(one.hyperparameters.items())
        found.setdefault(one.optimizer, {}).setdefault(point, {})[one.seed] = one
    rows: list[tuple[Value, ...]] = []
    for optimizer, configurations in found.items():
        cells = [Cell(optimizer, dict(point), by_seed) for point, by_seed in configurations.items()]
        rows.append((optimizer, *measured(min(cells, key=_mean_minimum))))
    return Table(("optimizer", *MEASURED), rows)


def _mean_minimum(cell: Cell) -> float:
    """Of the validation loss; infinite where a seed diverged or has none."""
    runs = list(cell.by_seed.values())
    lowest = [minimum(run.curves["val_loss"]).value for run in runs]
    whole = all(map(math.isfinite, lowest)) and not any(run.status == "diverged" for run in runs)
    return sum(lowest) / len(lowest) if whole else math.inf


def measured(cell: Cell) -> tuple[Value, ...]:
    """The columns :data:`MEASURED` of a configuration.

    Losses are means over the seeds with a 95% interval for the validation loss, the epoch is the mean epoch of the
    smallest validation loss, and the training loss is the smallest, with dropout on.
    """
    histories = list(cell.by_seed.values())
    minima = [minimum(run.curves["val_loss"]) for run in histories]
    val = seed_estimate([each.value for each in minima])
    train = seed_estimate([minimum(run.curves["train_loss"]).value for run in histories])
    epochs = [each.epoch for each in minima if each.epoch]
    lost = sum(run.status == "diverged" for run in histories)
    note = "; ".join(filter(None, [val.note, f"{lost} of {len(histories)} seeds diverged" if lost else ""]))
    epoch = float(np.mean(epochs)) if epochs else None
    shown = numbers((n, v) for n, v in cell.hyperparameters.items() if n not in ("eps", "initial_accumulator_value"))
    return (val.value, val.low, val.high, train.value, epoch, shown, len(histories), note)


def numbers(items: Iterable[tuple[str, float]]) -> str:
    """``learning_rate 0.01, momentum 0.9``."""
    return ", ".join(f"{name} {value:.3g}" for name, value in items)


def select(table: Table, names: Sequence[str]) -> Table:
    """The table with these columns only."""
    places = [table.columns.index(name) for name in names]
    return Table(tuple(names), [tuple(row[place] for place in places) for row in table.rows])


def to_csv(table: Table) -> str:
    """The table as CSV with a header; numbers with all the digits that tell them apart."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if _empty(value) else value for value in row] for row in table.rows])
    return text.getvalue()


def to_markdown(table: Table) -> str:
    """The table in Markdown, numbers with four significant digits."""

    def cell(value: Value) -> str:
        text = "" if _empty(value) else f"{value:.4g}" if isinstance(value, float) else str(value)
        return " ".join(text.split()).replace("|", r"\|")

    rows = [[name.replace("_", " ") for name in table.columns], ["---"] * len(table.columns)]
    return "\n".join("| " + " | ".join(cell(value) for value in row) + " |" for row in [*rows, *table.rows]) + "\n"


def to_latex(table: Table, *, caption: str = "", label: str = "") -> str:
    """The table as a LaTeX table with booktabs rules, four significant digits, text escaped.

    Args:
        table: what to print.
        caption: plain text; left out if empty.
        label: for references; left out if empty.
    """
    numeric = [
        all(_empty(row[at]) or not isinstance(row[at], str) for row in table.rows) for at in range(len(table.columns))
    ]
    rows = [" & ".join(_latex(value) for value in row) + r" \\" for row in table.rows]
    head = " & ".join(_escape(name.replace("_", " ")) for name in table.columns) + r" \\"
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{_escape(caption)}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{''.join('r' if each else 'l' for each in numeric)}}}", r"\toprule", head]
    lines += [r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def write_csv(path: Path, table: Table) -> None:
    """Writes :func:`to_csv` atomically.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    write_text(path, to_csv(table))


def write_latex(path: Path, table: Table, *, caption: str = "", label: str = "") -> None:
    """Writes :func:`to_latex` atomically.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    write_text(path, to_latex(table, caption=caption, label=label))


def _empty(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _latex(value: Value) -> str:
    if value is None or _empty(value):
        return "--"
    return _escape(f"{value:.4g}" if isinstance(value, float) else str(value))


_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
