"""Tables of a study as CSV and as LaTeX (booktabs): every run, and the best configurations."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxopt_study.analysis import best_first, lowest_loss, seed_estimate, seed_minima
from jaxopt_study.analysis import summary as summary_of_run
from jaxopt_study.analysis.minima import SUMMARY
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.files import write_text
from jaxopt_study.history import History
from jaxopt_study.plots import labels

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
    measured = [summary_of_run(run) for run in runs]
    columns = ("optimizer", *names, "seed", *(measured[0] if measured else SUMMARY))
    rows: list[tuple[Value, ...]] = []
    for run, numbers_of_run in zip(runs, measured, strict=True):
        point = (run.hyperparameters.get(name) for name in names)
        rows.append((run.optimizer, *point, run.seed, *numbers_of_run.values()))
    if any(run.reason for run in runs):
        columns, rows = (*columns, "reason"), [(*row, run.reason) for row, run in zip(rows, runs, strict=True)]
    return Table(columns, rows)


def best_configurations(histories: Iterable[History]) -> Table:
    """The configuration of each optimizer with the lowest mean of the smallest validation losses over its seeds.

    Columns: optimizer and :data:`MEASURED`.
    """
    by_rule: dict[str, list[list[History]]] = {}
    for runs in by_configuration(histories):
        by_rule.setdefault(runs[0].optimizer, []).append(runs)
    return Table(
        ("optimizer", *MEASURED),
        [(rule, *measured(best_first(configurations)[0])) for rule, configurations in by_rule.items()],
    )


def measured(histories: Sequence[History]) -> tuple[Value, ...]:
    """The columns :data:`MEASURED` of the runs of one configuration.

    Losses are means over the seeds with a 95% interval for the validation loss, the epoch is the mean epoch of the
    smallest validation loss, and the training loss is the smallest, with dropout on. A run that diverged has none.
    """
    minima = seed_minima(histories)
    val, train = (
        seed_estimate([loss for loss in (lowest_loss(run, curve) for run in histories) if math.isfinite(loss)])
        for curve in ("val_loss", "train_loss")
    )
    lost = sum(run.status == "diverged" for run in histories)
    notes = [val.note if minima.seeds or not lost else "", f"{lost} of {len(histories)} seeds diverged" if lost else ""]
    note = "; ".join(filter(None, notes))
    shown = numbers(labels.shown(histories[0].hyperparameters).items())
    return (val.value, val.low, val.high, train.value, minima.epoch, shown, len(histories), note)


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
    lines += [rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}", r"\toprule", head]
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
