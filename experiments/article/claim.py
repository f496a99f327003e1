"""What a claim is, and what is said of it in the end."""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from experiments.article.find import ArticleRuns
from experiments.article.part import NotApplicable, Undecided
from experiments.article.verdict import CONTRADICTED, NOT_APPLICABLE, SUPPORTED, UNDECIDED, Verdict, looking
from jaxopt_study.analysis.looking import Question
from jaxopt_study.analysis.power import false_discoveries
from jaxopt_study.analysis.runs import configuration_of
from jaxopt_study.history import History
from jaxopt_study.plots import labels


class Claim(NamedTuple):
    """A claim of the article.

    Attributes:
        id: section letter and number, such as ``"M7"``.
        sentence: the claim, with what its words are taken to mean.
        figure: number of the article's figure that shows it.
        judge: says what the runs have to say; raises ``Undecided`` where they have nothing.
        numbers: what the article gives for it, by name; every number has one seed and no error bar.
        of_rules: whether it speaks of update rules whatever they train, and not of the article's network on its data.
        of_size: whether it speaks of the article's image size alone, as absolute losses do.
    """

    id: str
    sentence: str
    figure: int
    judge: Callable[[ArticleRuns], Verdict]
    numbers: Mapping[str, float] = {}
    of_rules: bool = False
    of_size: bool = False

    def elsewhere(self, runs: ArticleRuns) -> str:
        """Why it does not apply to the data of these runs; empty if it does."""
        if not runs.article_data and not self.of_rules:
            return "other data: it speaks of the article's network on cats_vs_dogs"
        if self.of_size and not runs.article_setup:
            return "other image size: it gives losses at 128 x 128 pixels"
        return ""


class Judgement(NamedTuple):
    """A claim with its verdict, in the order of the columns of claims.csv; see ``Claim`` and ``Verdict``.

    ``by_seed`` are the values that the effect is the mean of, in the order of the seeds.
    ``q`` is the Benjamini-Hochberg q of its p-value among all that were judged; NaN where it has none.
    """

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
    method: str = ""
    student_low: float = math.nan
    student_high: float = math.nan
    p: float = math.nan
    q: float = math.nan
    seeds_needed: int | None = None
    smallest_visible: float = math.nan
    by_seed: str = ""


def judge(claims: Sequence[Claim], runs: ArticleRuns | Iterable[History]) -> list[Judgement]:
    """A verdict on each claim from the finished runs of one study.

    Plain histories are taken to be of a two-class problem that is not the article's.
    """
    study = runs if isinstance(runs, ArticleRuns) else ArticleRuns(runs)
    judgements = [judgement(claim, study) for claim in claims]
    q_values = false_discoveries([one.p for one in judgements])
    return [one._replace(q=q) for one, q in zip(judgements, q_values, strict=True)]


def judgement(claim: Claim, runs: ArticleRuns) -> Judgement:
    """The verdict on one claim, without ``q``, for which the others are needed."""
    try:
        if why := claim.elsewhere(runs):
            raise NotApplicable(why)
        with looking(runs.most_seeds, runs.replicates):
            verdict = claim.judge(runs)
    except Undecided as reason:
        word = NOT_APPLICABLE if isinstance(reason, NotApplicable) else UNDECIDED
        verdict = Verdict(word, math.nan, math.nan, math.nan, "", str(reason))
    numbers = ", ".join(f"{name} {value:g}" for name, value in claim.numbers.items())
    measured = (verdict.verdict, verdict.effect, verdict.low, verdict.high, verdict.reason)
    return Judgement(
        claim.id, *measured, claim.sentence, claim.figure, verdict.meaning, numbers, verdict.method,
        verdict.student_low, verdict.student_high, verdict.p, math.nan, verdict.seeds_needed, verdict.smallest_visible,
        ", ".join(f"{value:.4g}" for value in verdict.values),
    )  # fmt: skip


def open_questions(claims: Sequence[Claim], runs: ArticleRuns) -> list[Question]:
    """The claims that more seeds may decide, with the configurations that they hang on."""
    found = []
    for claim in (one for one in claims if not one.elsewhere(runs)):
        with contextlib.suppress(Undecided), looking(runs.most_seeds, runs.replicates):
            verdict = claim.judge(runs)
            if verdict.verdict == UNDECIDED:
                cells = [configuration_of(cell.optimizer, cell.hyperparameters) for cell in verdict.cells]
                found.append(Question(cells, verdict.p))
    return found


def discoveries(judgements: Sequence[Judgement]) -> str:
    """How many of the decided verdicts are to be expected to be chance, in a sentence; empty if none is decided."""
    q_values = [one.q for one in judgements if one.verdict in (SUPPORTED, CONTRADICTED) and not math.isnan(one.q)]
    if not q_values:
        return ""
    judged = sum(not math.isnan(one.p) for one in judgements)
    largest = max(q_values)
    return (
        f"Of the {labels.counted(len(q_values), 'decided verdict')} at most {len(q_values) * largest:.2g} are expected "
        f"to be chance (Benjamini-Hochberg over the {labels.counted(judged, 'claim')} with an interval, largest q "
        f"{largest:.2g})."
    )


def counted(judgements: Sequence[Judgement]) -> str:
    """``30 supported, 3 contradicted, 8 undecided, 2 do not apply``."""
    verdicts = [judgement.verdict for judgement in judgements]
    words = {NOT_APPLICABLE: "do not apply"}
    names = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_APPLICABLE)
    return ", ".join(f"{verdicts.count(name)} {words.get(name, name)}" for name in names)
