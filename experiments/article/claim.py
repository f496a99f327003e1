"""What a claim is, and what is said of it in the end."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from experiments.article.find import ArticleRuns
from experiments.article.verdict import CONTRADICTED, SUPPORTED, UNDECIDED, Undecided, Verdict
from jaxopt_study.history import History


class Claim(NamedTuple):
    """A claim of the article.

    Attributes:
        id: section letter and number, such as ``"M7"``.
        sentence: the claim, with what its words are taken to mean.
        figure: number of the article's figure that shows it.
        judge: says what the runs have to say; raises ``Undecided`` where they have nothing.
        numbers: what the article gives for it, by name; every number has one seed and no error bar.
    """

    id: str
    sentence: str
    figure: int
    judge: Callable[[ArticleRuns], Verdict]
    numbers: Mapping[str, float] = {}


class Judgement(NamedTuple):
    """A claim with its verdict, in the order of the columns of claims.csv; see ``Claim`` and ``Verdict``."""

    id: str
    verdict: str
    effect: float
    low: float
    high: float
    reason: str
    claim: str
    figure: int
    meaning: str
    article: str


def judge(claims: Sequence[Claim], runs: ArticleRuns | Iterable[History]) -> list[Judgement]:
    """A verdict on each claim from the finished runs of one study.

    Plain histories are taken to be of a two-class problem that is not the article's.
    """
    study = runs if isinstance(runs, ArticleRuns) else ArticleRuns(runs)
    return [judgement(claim, study) for claim in claims]


def judgement(claim: Claim, runs: ArticleRuns) -> Judgement:
    """The verdict on one claim."""
    try:
        verdict = claim.judge(runs)
    except Undecided as reason:
        verdict = Verdict(UNDECIDED, math.nan, math.nan, math.nan, "", str(reason))
    numbers = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
    measured = (verdict.verdict, verdict.effect, verdict.low, verdict.high, verdict.reason)
    return Judgement(claim.id, *measured, claim.sentence, claim.figure, verdict.meaning, numbers)


def counted(judgements: Sequence[Judgement]) -> str:
    """``30 supported, 3 contradicted, 10 undecided``."""
    verdicts = [judgement.verdict for judgement in judgements]
    return ", ".join(f"{verdicts.count(name)} {name}" for name in (SUPPORTED, CONTRADICTED, UNDECIDED))
