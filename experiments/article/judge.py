"""All claims judged from the runs of a study."""

import math
from collections.abc import Iterable

from experiments.article import adagrad, adam, compare, cyclical, momentum, momentum_ema, nesterov, rmsprop, sgd
from experiments.article.claim import Claim, Judgement
from experiments.article.find import ArticleRuns
from experiments.article.verdict import UNDECIDED, Undecided, Verdict
from jaxopt_study.history import History

CLAIMS: tuple[Claim, ...] = (
    *sgd.CLAIMS,
    *momentum.CLAIMS,
    *momentum_ema.CLAIMS,
    *nesterov.CLAIMS,
    *rmsprop.CLAIMS,
    *adam.CLAIMS,
    *adagrad.CLAIMS,
    *cyclical.CLAIMS,
    *compare.CLAIMS,
)
"""In the article's order."""


def judge(runs: ArticleRuns | Iterable[History]) -> list[Judgement]:
    """A verdict on every claim, in the article's order, from the runs of one study.

    Args:
        runs: the finished runs; plain histories are taken to be of a two-class problem that is not the article's.
    """
    study = runs if isinstance(runs, ArticleRuns) else ArticleRuns(runs)
    return [judgement(claim, study) for claim in CLAIMS]


def judgement(claim: Claim, runs: ArticleRuns) -> Judgement:
    """The verdict on one claim."""
    try:
        verdict = claim.judge(runs)
    except Undecided as reason:
        verdict = Verdict(UNDECIDED, math.nan, math.nan, math.nan, "", str(reason))
    numbers = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
    return Judgement(
        claim.id,
        verdict.verdict,
        verdict.effect,
        verdict.low,
        verdict.high,
        verdict.reason,
        claim.sentence,
        claim.figure,
        verdict.meaning,
        numbers,
    )
