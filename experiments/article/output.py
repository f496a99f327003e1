"""The verdicts as a table and a file."""

from collections.abc import Sequence
from pathlib import Path

from experiments.article.claim import Judgement
from jaxopt_study.report import tables


def table(judgements: Sequence[Judgement]) -> tables.Table:
    """One row a claim; the columns are the fields of ``Judgement``."""
    return tables.Table(Judgement._fields, [tuple(judgement) for judgement in judgements])


def write_csv(path: Path, judgements: Sequence[Judgement]) -> None:
    """Writes the verdicts atomically; an effect or an end of its interval that is not known is empty.

    Raises:
        EnvironmentFault: the file cannot be written.
    """
    tables.write_csv(path, table(judgements))
