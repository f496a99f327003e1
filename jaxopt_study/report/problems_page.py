"""The page of several problems: one verdict, its figures with the tables behind them, the losses of each problem."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxopt_study.plots import labels
from jaxopt_study.report import page

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import SavedFigure
    from jaxopt_study.report.problems import OverProblems

READ = """Losses are the lowest validation losses of each rule in the configuration that half of a problem's seeds
chooses, told by the other half. The first number is the geometric mean over the problems of a rule's loss over the
reference's, `rank` the mean rank, with 95% intervals over the seeds. `lowest`, `fastest` and `reaches` are the shares
of problems and seeds on which its loss is the lowest, and on which it gets to nine tenths of the way from guessing to
the best rule's loss first, and at all. `behind` is told from the first rule, all pairs of rules counted;
`undecided` is not, and may be as good or a good deal worse: the seeds are too few to say. The problems are these and
no sample of others. docs/statistics.md has the formulas."""


def render(found: "OverProblems", figures: Sequence["SavedFigure"], title: str, notes: Sequence[str]) -> str:
    """The page as HTML, without scripts; every text is escaped, and nothing is loaded from outside it.

    Args:
        found: the verdict.
        figures: ``plots.problems.pictures`` as they were written.
        title: of the page.
        notes: sentences, such as why a problem is left out.

    Raises:
        EnvironmentFault: a figure cannot be read.
    """
    style = page.source("page.css")
    behind = (found.overall(), found.profile_table())
    headings = ("Over all problems", "Performance profiles")
    return page.environment().get_template("problems.html.j2").render(
        title=title,
        live=False,
        style=style,
        policy=page.policy([], [style], live=False),
        verdict=labels.sentence(found.verdict()),
        notes=notes,
        standings=found.shown(),
        how=READ.replace("`", ""),
        parts=list(zip(headings, figures, behind, strict=True)),
        losses=found.losses(),
        by_problem=found.by_problem(),
    )  # fmt: skip
