"""The article's best runs and claims as tables, beside what the study has."""

from collections.abc import Sequence

from experiments.article import facts
from experiments.article.claim import Judgement, discoveries
from experiments.article.find import ArticleRuns
from jaxopt_study.report import tables
from jaxopt_study.report.facts import Reference
from jaxopt_study.report.tables import Table, Value

NOTE = (
    "its one run on cats_vs_dogs at 128 x 128, without an interval. At another image size only the order of the "
    "optimizers compares."
)
_THEIRS = ("optimizer", "article_val_loss", "article_train_loss", "article_epoch", "article_hyperparameters")


def best_runs(runs: ArticleRuns) -> Table:
    """The best configuration of each optimizer of the article's comparison, beside the article's best run.

    Of other data than the article's its losses are left out, which do not compare.

    Ours is chosen by its mean smallest validation loss over the seeds; see ``report.tables.measured``. Momentum 0
    counts as SGD. Cells of optimizers without runs are empty.
    """
    rows = [_best_row(runs, row) for row in facts.BEST_RUNS]
    table = Table((*_THEIRS, *tables.MEASURED), rows).without_empty(tables.TESTED)
    return table if runs.article_data else table.select([name for name in table.columns if name not in _THEIRS[1:]])


def _best_row(runs: ArticleRuns, row: facts.BestRun) -> tuple[Value, ...]:
    theirs = (row.title, row.val_loss, row.train_loss, row.epoch, tables.numbers(row.hyperparameters))
    cells = runs.family(row.optimizer)
    if not cells:
        return (*theirs, *[None] * 6, "", 0, "not run", "", None, None, *[None] * len(tables.TESTED))
    among = [cell.histories for cell in runs.configurations]
    return (*theirs, *tables.measured([cell.histories for cell in cells], runs.chance, among))


def claims(judgements: Sequence[Judgement]) -> Table:
    """One row a claim; the columns are the fields of ``Judgement``."""
    return Table(Judgement._fields, [tuple(judgement) for judgement in judgements])


def reference(judgements: Sequence[Judgement], sections: Sequence[tuple[int, str]]) -> Reference:
    """The article as the report sets a study beside it."""
    rules = {run.title: run.optimizer for run in facts.BEST_RUNS}
    return Reference("article", NOTE, claims(judgements), sections, discoveries(judgements), rules)
