"""Several problems, one verdict: what finished studies say of the rules that all of them have."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa

from jaxopt_study.analysis.equal_time import at_equal_time
from jaxopt_study.analysis.guessing import guessing_in
from jaxopt_study.analysis.problems import Problem, Standing, standings, told
from jaxopt_study.analysis.profiles import Profile, profiles
from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.errors import InputError
from jaxopt_study.files import write_text
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.report import problems_page, wording
from jaxopt_study.report.tables import Table, numbers, to_csv, to_html
from jaxopt_study.storage import made, workdir
from jaxopt_study.storage.store import histories_of, read_runs

FEW = 4
"""Rules that a sentence names at most."""


class Finished(Protocol):
    """What is asked of a study."""

    @property
    def histories(self) -> list[History]:
        """The finished runs."""

    @property
    def guessing(self) -> float:
        """The validation loss of guessing."""

    @property
    def settings(self) -> Any:
        """With ``max_epochs``."""

    def costs(self) -> Mapping[str, Any]:
        """What a step of each rule costs over SGD's."""


Runs: TypeAlias = Finished | str | Path | pa.Table | Sequence[History]
"""A study, the folder that a study was trained in, a table of its runs, or the runs."""


def over_problems(
    problems: Mapping[str, Runs], *, reference: str | None = None, equal_time: bool = False
) -> "OverProblems":
    """One verdict on the rules of several finished studies, a problem each.

    Each study is made, trained and tuned by itself, with a network, data, loss and number of epochs of its own. What is
    compared is the validation loss of each rule in the configuration that half of a problem's seeds chooses, told by
    the other half. docs/statistics.md has the formulas.

    Args:
        problems: by their names, each a study, its work directory, what its ``run()`` or ``load_runs`` returned, or
            histories. Of the latter two the loss of guessing is not known; the highest loss told of a run stands for
            it.
        reference: name of the rule over whose losses those of the others are told; the first rule, if not given, that
            is on all problems.
        equal_time: whether each run counts only as far as it comes in the time in which SGD trains all epochs, by
            ``Study.costs``; of studies alone.

    Raises:
        InputError: fewer than two rules are on all problems, the reference is not, or a problem has nothing to tell of.
    """
    if not isinstance(problems, Mapping) or not problems:
        raise InputError("problems", problems, "allowed is a dictionary with a study, or its runs, by a problem's name")
    read = {name: _read(name, runs, equal_time) for name, runs in problems.items()}
    of_rules = {name: by_rule(histories) for name, (histories, _) in read.items()}
    every = list(dict.fromkeys(rule for rules in of_rules.values() for rule in rules))
    common = [rule for rule in every if all(rule in rules for rules in of_rules.values())]
    if len(common) < 2:
        given = f"{len(common)} of {len(every)} rules on all problems"
        raise InputError("problems", given, "allowed are problems that have at least two rules in common")
    if reference is not None and reference not in common:
        raise InputError("reference", reference, f"allowed are rules on all problems: {', '.join(common)}")
    found = [told(name, of_rules[name], common, read[name][1]) for name in problems]
    missing = {rule: [name for name, rules in of_rules.items() if rule not in rules] for rule in every}
    return OverProblems(found, common, reference or common[0], {rule: of for rule, of in missing.items() if of})


def _read(name: str, runs: Runs, equal_time: bool) -> tuple[list[History], float]:
    """The runs of a problem and its loss of guessing."""
    if equal_time and not hasattr(runs, "costs"):
        raise InputError("equal_time", equal_time, f"allowed where all problems are studies, and {name} is none")
    if isinstance(runs, pa.Table):
        return histories_of(runs), np.inf
    if isinstance(runs, str | Path):
        folder = Path(runs).expanduser()
        return list(read_runs(folder).values()), guessing_in(workdir.read_config(folder / "config.json"))
    if isinstance(runs, Sequence):
        return list(runs), np.inf
    if not hasattr(runs, "histories"):
        allowed = "allowed are a study, its work directory, a table of its runs, or histories"
        raise InputError("problems", f"{name}, {type(runs).__name__}", allowed)
    histories = runs.histories
    if equal_time:
        costs = {rule: cost.seconds_over_sgd for rule, cost in runs.costs().items()}
        histories = at_equal_time(histories, costs, runs.settings.max_epochs)
    return histories, runs.guessing


@dataclasses.dataclass(frozen=True, repr=False)
class OverProblems:
    """What several problems say of the rules that are on all of them; see :func:`over_problems`.

    Attributes:
        problems: what is told of each, see :class:`jaxopt_study.analysis.problems.Problem`.
        rules: that are on all of them, the order of the rows there.
        reference: the rule over whose losses those of the others are told.
        missing: the problems that other rules are not on, by their names; they are not compared.
    """

    problems: Sequence[Problem]
    rules: Sequence[str]
    reference: str
    missing: Mapping[str, Sequence[str]]

    @cached_property
    def standings(self) -> list[Standing]:
        """How each rule stands, the lowest geometric mean of losses first."""
        return standings(self.problems, self.rules, self.reference)

    @cached_property
    def profiles(self) -> Mapping[str, Sequence[Profile]]:
        """The performance profiles of the rules, ``epochs`` to a target and ``loss``."""
        return profiles(self.problems, self.rules)

    @property
    def best(self) -> list[str]:
        """The rules that are the best or not told from it; with one seed none."""
        return [one.optimizer for one in self.standings if one.verdict not in ("", "behind")]

    @property
    def seeds(self) -> int:
        """Of the problem that has the fewest."""
        return min(len(problem.losses[0]) for problem in self.problems)

    @property
    def table(self) -> pa.Table:
        """The verdict as a pyarrow table, with the columns of :meth:`overall`."""
        return pa.Table.from_pylist(self.overall().records())

    def overall(self) -> Table:
        """A row a rule, the lowest geometric mean of losses first; ends are of 95% intervals over the seeds.

        Columns: optimizer; verdict, and its p; loss_ratio, the geometric mean of its losses over the reference's; rank,
        the mean; lowest, on what share of problems and seeds its loss is the lowest; reaches, on what share it gets to
        the target; fastest, on what share it does so first; problems; seeds, of each at least. Rules that are not on
        all problems are last, with how many they are on and nothing else.
        """
        ends = ("", "_low", "_high")
        columns = (
            "optimizer", "verdict", "p", *(f"loss_ratio{end}" for end in ends), *(f"rank{end}" for end in ends),
            "lowest", "fastest", "reaches", "problems", "seeds",
        )  # fmt: skip
        by_name = {measure: {one.optimizer: one for one in of} for measure, of in self.profiles.items()}
        rows: list[tuple[Any, ...]] = []
        for one in self.standings:
            ratio = (1.0, None, None) if one.optimizer == self.reference else one.ratio[:3]
            epochs, loss = (by_name[measure][one.optimizer].shares for measure in ("epochs", "loss"))
            shares = (loss[0].value, epochs[0].value, epochs[-1].value)
            rows.append(
                (one.optimizer, one.verdict, one.p, *ratio, *one.rank[:3], *shares, len(self.problems), self.seeds)
            )
        nothing = (None,) * (len(columns) - 4)
        for rule, absent in self.missing.items():
            rows.append((rule, f"not on {labels.listing(absent)}", *nothing, len(self.problems) - len(absent), None))
        return Table(columns, rows)

    def shown(self) -> Table:
        """As :meth:`overall`, to be read: intervals beside their numbers, shares in per cent."""
        columns = ("optimizer", "verdict", f"loss over {self.reference}'s", "rank", "lowest", "fastest", "reaches")
        rows: list[tuple[Any, ...]] = []
        for row in self.overall().records():
            ends = [_beside(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("loss_ratio", "rank")]
            shares = ["" if row[name] is None else f"{row[name]:.0%}" for name in ("lowest", "fastest", "reaches")]
            rows.append((row["optimizer"], row["verdict"], *ends, *shares))
        return Table(columns, rows).without_empty(("verdict",))

    def by_problem(self) -> Table:
        """A row a rule and problem: mean loss, its ratio to the problem's lowest, mean rank, and the epochs to the
        target, mean over the seeds that get there, with how many do; the configuration that all seeds choose."""
        measured = ("loss", "over_lowest", "rank", "epochs", "reach", "seeds", "target")
        columns = ("problem", "optimizer", *measured, "hyperparameters")
        rows: list[tuple[Any, ...]] = []
        for problem in self.problems:
            means = problem.losses.mean(1)
            for at in np.argsort(means, kind="stable"):
                reached = problem.epochs[at][np.isfinite(problem.epochs[at])]
                epochs = float(reached.mean()) if len(reached) else None
                told_of = (float(means[at]), float(means[at] / means.min()), float(problem.ranks[at].mean()), epochs)
                counts = (len(reached), problem.losses.shape[1], problem.target)
                best = numbers(labels.shown(problem.best[at]))
                rows.append((problem.name, self.rules[at], *told_of, *counts, best))
        return Table(columns, rows)

    def losses(self) -> Table:
        """A row a rule, the lowest geometric mean first, a column a problem: mean losses."""
        means = [dict(zip(self.rules, problem.losses.mean(1), strict=True)) for problem in self.problems]
        rows = [(one.optimizer, *(labels.loss(of[one.optimizer]) for of in means)) for one in self.standings]
        return Table(("optimizer", *(problem.name for problem in self.problems)), rows)

    def profile_table(self) -> Table:
        """A row a step of each profile: the share of the problems within ``tau`` of the best, with its interval."""
        rows = [
            (measure, one.optimizer, tau, *estimate[:3])
            for measure, of in self.profiles.items()
            for one in of
            for tau, estimate in zip(one.taus, one.shares, strict=True)
        ]
        return Table(("measure", "optimizer", "tau", "share", "share_low", "share_high"), rows)

    def report(self, folder: str | Path, *, title: str = "Several problems", notes: Sequence[str] = ()) -> Path:
        """Writes report.html, one page with all of it, its tables as CSV, and its figures into figures/.

        Args:
            folder: where to write.
            title: of the page.
            notes: sentences for the page, such as why a problem is left out.

        Returns:
            The page.

        Raises:
            EnvironmentFault: it cannot be written, or a file of somebody else is in the way.
        """
        from jaxopt_study.plots.picture import save_pictures  # Matplotlib is slow to import
        from jaxopt_study.plots.problems import pictures

        into = workdir.check(Path(folder).expanduser())
        tables = {
            "over_problems": self.overall(),
            "by_problem": self.by_problem(),
            "performance_profiles": self.profile_table(),
        }
        names = [problem.name for problem in self.problems]
        with made.into(into, whole=("figures/*",)) as building:
            for name, table in tables.items():
                write_text(building / f"{name}.csv", to_csv(table))
            saved = save_pictures(pictures(self.standings, self.profiles, self.reference, names), building / "figures")
            write_text(building / "report.html", problems_page.render(self, saved, title, notes))
        return into / "report.html"

    def __repr__(self) -> str:
        return f"<{self.verdict()}>\n{_aligned(self.shown())}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.verdict())}</p>{to_html(self.shown())}"

    def verdict(self) -> str:
        """Which rule is the best, in a sentence."""
        over = f"over {labels.counted(len(self.problems), 'problem')}, {labels.counted(self.seeds, 'seed')} each"
        lead = self.standings[0]
        if not self.best:
            return f"{over}: one seed tells no rule from another; the lowest losses are those of {lead.optimizer}"
        what = f"the best is {lead.optimizer}"
        if 1 < len(self.best) <= FEW:
            what = f"the best is one of {labels.listing(self.best)}, which are not told apart"
        elif len(self.best) > FEW:
            others = f"{len(self.best) - 1} of {len(self.rules) - 1} others are not told from it"
            what = f"the lowest losses are those of {lead.optimizer}, and {others}"
        if lead.optimizer == self.reference:
            return f"{over}: {what}"
        interval = f" ({lead.ratio.low:.3g} to {lead.ratio.high:.3g})" if lead.ratio.seeds else ""
        return (
            f"{over}: {what}; the losses of {lead.optimizer} are {lead.ratio.value:.3g}{interval} of {self.reference}'s"
        )


def _beside(value: float | None, low: float | None, high: float | None) -> str:
    """``0.82 (0.75 to 0.9)``; without an interval the number alone."""
    if value is None:
        return ""
    ends = wording.interval(low, high, ".3g")
    return f"{value:.3g} ({ends})" if ends else f"{value:.3g}"


def _aligned(table: Table) -> str:
    """The table as text of columns of equal width."""
    lines = [table.columns, *([str(value) for value in row] for row in table.rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(table.columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
