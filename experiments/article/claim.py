"""What a claim is, and what is said of it in the end."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from experiments.article import facts as article
from experiments.article.find import ArticleRuns
from experiments.article.verdict import Verdict


class Claim(NamedTuple):
    """A claim of the article.

    Attributes:
        id: section letter and number, such as ``"M7"``.
        sentence: the claim, with what its words are taken to mean.
        figure: number of the article's figure that shows it.
        judge: says what the runs have to say; raises ``Undecided`` where they have nothing.
    """

    id: str
    sentence: str
    figure: int
    judge: Callable[[ArticleRuns], Verdict]

    @property
    def numbers(self) -> Mapping[str, float]:
        """What the article gives for it, by name; empty for a claim without numbers."""
        return article.NUMBERS.get(self.id, {})


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
