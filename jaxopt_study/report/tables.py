"""Tables of a study as CSV, Markdown and LaTeX (booktabs): every run, and the best configurations."""

import csv
import html
import io
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxopt_study.analysis import components, minima
from jaxopt_study.analysis import importance as importances
from jaxopt_study.analysis.best import Best, best_of
from jaxopt_study.analysis.equal_time import at_equal_time
from jaxopt_study.analysis.numbers import number
from jaxopt_study.analysis.runs import Runs, by_rule
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.report import wording

Value = str | int | float | None
TESTED = ("test_loss", "test_low", "test_high", "test_accuracy")
"""Columns of what was measured on the part held back for testing; left out where there is none."""
MEASURED = (
    "val_loss", "val_low", "val_high", "val_accuracy", "train_loss", "epoch", "hyperparameters", "seeds", "note",
    "method", "student_low", "student_high", *TESTED,
)  # fmt: skip
"""Columns of what :func:`measured` gives."""


class Table(NamedTuple):
    """Rows under named columns; None and NaN are empty cells."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        """The values of a column; none if there is no such column."""
        return [record[name] for record in self.records() if name in record]

    def select(self, names: Sequence[str]) -> "Table":
        """The table with these columns only."""
        return Table(tuple(names), [tuple(record[name] for name in names) for record in self.records()])

    def without_empty(self, names: Sequence[str]) -> "Table":
        """The table without those of these columns that hold nothing."""
        empty = {name for name in names if all(map(wording.empty, self.column(name)))}
        return self.select([name for name in self.columns if name not in empty])

    def numeric(self) -> list[bool]:
        """Of each column whether it has numbers and empty cells only."""
        return [
            all(wording.empty(row[at]) or not isinstance(row[at], str) for row in self.rows)
            for at in range(len(self.columns))
        ]


def summary(histories: Iterable[History], chance: float = math.inf) -> Table:
    """One row a run, in the order given, labelled as the histories are; ``chance`` is the loss of guessing.

    Columns: optimizer, each hyperparameter by its name (empty where the rule has none of it), seed, data_seed where any
    has one, the fields of :class:`jaxopt_study.analysis.minima.Summary`, own metrics at the lowest validation
    loss; where a run failed, also reason.
    """
    runs = list(histories)
    names = tuple(dict.fromkeys(name for run in runs for name in run.hyperparameters))
    metrics = tuple(dict.fromkeys(name for run in runs for name in run.metrics))
    failed, ordered = any(run.reason for run in runs), any(run.data_seed is not None for run in runs)
    rows: list[tuple[Value, ...]] = []
    for run in runs:
        point = (run.hyperparameters.get(name) for name in names)
        seeds = (run.seed, run.data_seed) if ordered else (run.seed,)
        own = (minima.at_minimum(run, name) for name in metrics)
        rest = (*minima.summary(run, chance), *own, *([run.reason] if failed else []))
        rows.append((run.optimizer, *point, *seeds, *rest))
    of_data = ("data_seed",) if ordered else ()
    measured = (*minima.Summary._fields, *(f"{name}_at_min_val" for name in metrics))
    columns = ("optimizer", *names, "seed", *of_data, *measured, *(["reason"] if failed else []))
    return Table(columns, rows).without_empty(("test_loss_at_min_val", "test_accuracy_at_min_val"))


def variance_components(histories: Iterable[History], chance: float, orders: str) -> Table:
    """A row a source of variance, see :class:`jaxopt_study.analysis.components.Component`."""
    return Table(components.Component._fields, components.components(Runs(histories, chance=chance), orders))


def importance(histories: Iterable[History], chance: float) -> Table:
    """A row a source of a rule's grid, see :class:`jaxopt_study.analysis.importance.Importance`; ``held`` in words."""
    found = importances.importance(Runs(histories, chance=chance))
    rows = [(*one[:-1], labels.configuration(one.held)) for one in found]
    return Table(importances.Importance._fields, rows)


def best_configurations(
    histories: Iterable[History], chance: float = math.inf, monitor: minima.Monitor | None = None
) -> Table:
    """The configuration of each optimizer with the lowest mean of the smallest validation losses over its seeds.

    Columns: optimizer and :data:`MEASURED`. Where something else is monitored the best are those by that; its mean and
    the ends of its interval come first, under its name.
    """
    of_rules = by_rule(histories)
    among = list(itertools.chain(*of_rules.values()))
    if monitor is not None:
        own = tuple(f"best_{monitor.name}{end}" for end in ("", "_low", "_high"))
        found = [best_of(configurations, chance, among=among, monitor=monitor) for configurations in of_rules.values()]
        rows = [(best.optimizer, best.value, best.low, best.high, *_cells(best)) for best in found]
        return Table(("optimizer", *own, *MEASURED), rows).without_empty(TESTED)
    rows = [(rule, *measured(configurations, chance, among)) for rule, configurations in of_rules.items()]
    return Table(("optimizer", *MEASURED), rows).without_empty(TESTED)


def with_costs(
    best: Table,
    histories: Sequence[History],
    costs: Mapping[str, float],
    epochs: int,
    monitor: minima.Monitor | None = None,
    names: Mapping[str, str] | None = None,
) -> Table:
    """The best configurations with two columns more; without them where no cost is known.

    cost, seconds of a step over SGD's; equal_time_val_loss, the loss of the rule's best configuration, perhaps another
    one, in the time in which SGD trains ``epochs`` epochs. ``names``: of rules that the table calls otherwise.
    """
    rules = [(names or {}).get(str(told), told) for told in best.column("optimizer")]
    if not any(rule in costs for rule in rules):
        return best
    cut = best_configurations(at_equal_time(histories, costs, epochs), monitor=monitor).records()
    losses = {row["optimizer"]: row["val_loss"] for row in cut}
    added = [(costs.get(rule), losses.get(rule) if rule in costs else None) for rule in rules]
    rows = [(*row, *more) for row, more in zip(best.rows, added, strict=True)]
    return Table((*best.columns, "cost", "equal_time_val_loss"), rows)


def measured(
    configurations: Sequence[Sequence[History]],
    chance: float = math.inf,
    among: Sequence[Sequence[History]] | None = None,
) -> tuple[Value, ...]:
    """The columns :data:`MEASURED` of the best of some configurations, see ``analysis.best.best_of``."""
    return _cells(best_of(configurations, chance, among=among))


def _cells(found: Best) -> tuple[Value, ...]:
    told = found._asdict() | {"hyperparameters": numbers(labels.shown(found.hyperparameters))}
    return tuple(told[name] for name in MEASURED)


def numbers(hyperparameters: Mapping[str, float]) -> str:
    """``learning_rate 0.01, momentum 0.9``."""
    return ", ".join(f"{name} {number(value)}" for name, value in hyperparameters.items())


_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula; the last four are the full-width forms of the first."""


def to_csv(table: Table) -> str:
    """The table as CSV with a header; numbers with all the digits that tell them apart.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, and is then a text there too.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[_defused(value) for value in row] for row in (table.columns, *table.rows)])
    return text.getvalue()


def _defused(value: Value) -> Value:
    if wording.empty(value):
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # the writer does not quote a carriage return
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_markdown(table: Table) -> str:
    """The table in Markdown, numbers with four significant digits."""
    head = [[name.replace("_", " ") for name in table.columns], ["---"] * len(table.columns)]
    cells = [[" ".join(wording.cell(value).split()).replace("|", r"\|") for value in row] for row in table.rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in [*head, *cells])


def to_html(table: Table) -> str:
    """The table for a notebook, numbers as the page has them; every text is escaped."""
    head = "".join(f"<th>{html.escape(wording.column(name))}</th>" for name in table.columns)
    texts = [[wording.cell(v, n) for v, n in zip(row, table.columns, strict=True)] for row in table.rows]
    rows = ["".join(f"<td>{html.escape(text)}</td>" for text in row) for row in texts]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def to_latex(table: Table, *, caption: str, label: str) -> str:
    """The table as a LaTeX table with booktabs rules, four significant digits; texts and ``caption`` are escaped."""
    head = [name.replace("_", " ") for name in table.columns]
    cells = [["" if value == "" else wording.cell(value) or "--" for value in row] for row in table.rows]
    head_line, *lines = [" & ".join(map(latex, row)) + r" \\" for row in [head, *cells]]
    alignment = "".join("r" if numeric else "l" for numeric in table.numeric())
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{latex(caption)}}}", rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", head_line, r"\midrule", *lines, r"\bottomrule",
        r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def latex(text: str) -> str:
    """A text as LaTeX shows it."""
    return text.translate(_LATEX)


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{character: "\\" + character for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
