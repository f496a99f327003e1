"""What does --until=decided save? Made studies, with a known truth, replayed with seeds added and with ten everywhere.

    python -m experiments.benchmarks.until                # 1,000 made studies, a few minutes
    python -m experiments.benchmarks.until --workdir=W    # the article's claims on the stored runs of W, of many seeds

A study has 120 configurations, whose losses and spread of seeds are like those of the photographs (cats_vs_dogs_32),
and 43 claims of one to three parts, each that one configuration is worse than another: by 0.1 to 15 standard deviations
of a seed, as the article's claims found there, or not at all. Both designs judge by the same moderated t test. The one
with added seeds begins with one, and two where a claim hangs on it, looks after every round, spends its 5% over the
looks (jaxopt_study.analysis.looking) and gets the runs that jaxopt_study.engine.allocation.next_runs asks for.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from rich.console import Console

from experiments import report
from experiments.article import verdict as words
from experiments.article.claim import Claim, judge, open_questions
from experiments.article.find import ArticleRuns
from experiments.benchmarks import common
from experiments.command import experiment
from experiments.command import flags as command
from jaxopt_study.analysis.looking import Question, allowed
from jaxopt_study.analysis.moderated import fit_prior, moderate
from jaxopt_study.analysis.runs import configuration_of
from jaxopt_study.engine.allocation import next_runs
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History

STUDIES = flags.DEFINE_integer("studies", 1000, "Made studies.", 1)
CONFIGURATIONS, CLAIMS, FIRST, MOST, ALPHA = 120, 43, 2, 10, 0.05
SD, SD_DOF = 0.015, 8
"""Of one seed's smallest validation loss, nats, and how alike it is over the configurations, as Smyth's d0."""
EQUAL = 0.2
"""Share of configurations that are as good as another one, and of comparisons without a difference."""
OPEN, SUPPORTED, CONTRADICTED = range(3)


class Made(NamedTuple):
    """A made study: true losses ``[C]``, losses ``[C, MOST]``, and of each claim its pairs (worse, better)."""

    truth: np.ndarray
    losses: np.ndarray
    claims: list[np.ndarray]


class Replay(NamedTuple):
    """What came of a design: a verdict a claim, and the runs that it took."""

    verdicts: list[int]
    runs: int


def made(rng: np.random.Generator) -> Made:
    """A study."""
    truth = 0.45 + 0.25 * rng.beta(0.7, 2.0, CONFIGURATIONS)
    equal = rng.random(CONFIGURATIONS) < EQUAL
    truth[equal] = rng.choice(truth[~equal], equal.sum())
    sds = SD * np.sqrt(SD_DOF / rng.chisquare(SD_DOF, CONFIGURATIONS))
    losses = truth[:, None] + sds[:, None] * rng.standard_normal((CONFIGURATIONS, MOST))
    claims = []
    for _ in range(CLAIMS):
        better = rng.integers(0, CONFIGURATIONS, rng.integers(1, 4))
        gaps = SD * np.exp(rng.uniform(np.log(0.1), np.log(15), len(better)))
        gaps[rng.random(len(better)) < EQUAL] = 0
        distance = np.abs(truth - (truth[better] + gaps)[:, None])
        distance[np.arange(len(better)), better] = np.inf
        pairs = np.stack([distance.argmin(axis=1), better], axis=1)
        claims.append(pairs if rng.random() < 0.7 else pairs[:, ::-1])
    return Made(truth, losses, claims)


def judged(study: Made, seeds: np.ndarray, most: int | None) -> list[tuple[int, float, np.ndarray]]:
    """Of each claim the verdict, its p-value, and the configurations of its open parts, with the first ``seeds`` [C].

    ``most`` is the number of seeds that there may be where one looks again and again; None where one looks once.
    """
    from scipy import special  # slow to import

    parts = np.concatenate(study.claims)
    counts = seeds[parts].min(axis=1)
    above = np.empty(len(parts))
    for count in np.unique(counts):
        there = np.flatnonzero(seeds >= count)
        first, second = np.triu_indices(len(there), 1)
        pairs = study.losses[there][first, :count] - study.losses[there][second, :count]
        prior = fit_prior(pairs.var(axis=1, ddof=1), count - 1, len(there))
        of_count = parts[counts == count]
        values = study.losses[of_count[:, 0], :count] - study.losses[of_count[:, 1], :count]
        dof, variance = count - 1.0, values.var(axis=1, ddof=1)
        moderated = [moderate(each, dof, prior) for each in variance.tolist()]
        variance, dof = np.array([one for one, _ in moderated]), moderated[0][1]
        above[counts == count] = special.stdtr(dof, -values.mean(axis=1) / np.sqrt(variance / count))
    found, at = [], 0
    for pairs in study.claims:
        here = slice(at, at + len(pairs))
        found.append(_claim(pairs, 2 * above[here], 2 * (1 - above[here]), counts[here], most))
        at += len(pairs)
    return found


def _claim(
    pairs: np.ndarray, holds: np.ndarray, fails: np.ndarray, counts: np.ndarray, most: int | None
) -> tuple[int, float, np.ndarray]:
    """All parts must hold, each at 95%; one that fails at 100% - 5%/k contradicts: as experiments.article.verdict."""
    levels = [ALPHA, ALPHA / len(pairs)]
    at_hold, at_fail = (
        np.array([allowed(int(n), most, level) if most else level for n in counts]) for level in levels
    )  # fmt: skip
    p = float(min(1.0, len(pairs) * fails.min(), holds.max()))
    if (fails <= at_fail).any():
        return CONTRADICTED, p, pairs[:0]
    if (holds <= at_hold).all():
        return SUPPORTED, p, pairs[:0]
    return OPEN, p, np.unique(pairs[holds > at_hold])


def everywhere(study: Made) -> Replay:
    """Ten seeds of every configuration, looked at once."""
    seeds = np.full(CONFIGURATIONS, MOST)
    return Replay([verdict for verdict, _, _ in judged(study, seeds, None)], int(seeds.sum()))


def until_decided(study: Made) -> Replay:
    """One seed of every configuration, then one more of each that the allocation asks for, until it asks for none.

    One seed leaves every claim open, so that all configurations of claims get a second one at once.
    """
    seeds = np.ones(CONFIGURATIONS, int)
    seeds[np.unique(np.concatenate(study.claims))] = FIRST
    runs = [Run("sgd", (("learning_rate", float(i + 1)),), s) for i, count in enumerate(seeds) for s in range(count)]
    keys = [configuration_of("sgd", {"learning_rate": float(i + 1)}) for i in range(CONFIGURATIONS)]
    while True:
        verdicts = judged(study, seeds, MOST)
        questions = [Question([keys[i] for i in cells], p) for verdict, p, cells in verdicts if verdict == OPEN]
        more = next_runs(runs, questions, MOST)
        if not more:
            return Replay([verdict for verdict, _, _ in verdicts], int(seeds.sum()))
        runs += more
        for run in more:
            seeds[int(run.hyperparameters[0][1]) - 1] += 1


def known(study: Made, verdicts: Sequence[int]) -> int:
    """Runs that an oracle takes for the verdicts of ten seeds everywhere, which knows beforehand which claims those
    decide: ten seeds of their configurations, and one of all others, which are to be trained as well."""
    seeds = np.ones(CONFIGURATIONS, int)
    for pairs in (pairs for pairs, verdict in zip(study.claims, verdicts, strict=True) if verdict != OPEN):
        seeds[pairs] = MOST
    return int(seeds.sum())


def wrong(study: Made, verdicts: list[int]) -> int:
    """How many verdicts are not true: a claim is true if all its first ones are worse, false if one is better."""
    count = 0
    for verdict, pairs in zip(verdicts, study.claims, strict=True):
        gaps = study.truth[pairs[:, 0]] - study.truth[pairs[:, 1]]
        count += bool(verdict == SUPPORTED and (gaps <= 0).any()) or bool(verdict == CONTRADICTED and (gaps >= 0).all())
    return count


def replay(studies: int, seed: int = 0) -> dict[str, float]:
    """Shares over so many made studies.

    Returns:
        ``epochs``: runs with added seeds over those of ten everywhere; ``epochs_of_an_oracle``: those of :func:`known`,
        over the same; ``kept``: of the claims that ten seeds
        everywhere decide, those that are decided as well; ``wrong`` and ``wrong_everywhere``: of all claims, those that
        are decided against the truth.
    """
    rng = np.random.default_rng(seed)
    sums = np.zeros(7)
    for _ in range(studies):
        study = made(rng)
        whole, added = everywhere(study), until_decided(study)
        decided = [i for i, verdict in enumerate(whole.verdicts) if verdict != OPEN]
        kept = sum(added.verdicts[i] != OPEN for i in decided)
        mistakes = wrong(study, added.verdicts), wrong(study, whole.verdicts)
        sums += [added.runs, whole.runs, kept, len(decided), *mistakes, known(study, whole.verdicts)]
    claims = studies * CLAIMS
    names = ("epochs", "kept", "decided_everywhere", "wrong", "wrong_everywhere", "epochs_of_an_oracle")
    shares = sums[:1] / sums[1], sums[2:3] / sums[3], sums[3:6] / claims, sums[6:] / sums[1]
    values = np.concatenate(shares).tolist()
    return dict(zip(names, values, strict=True))


def stored(claims: Sequence[Claim], histories: Sequence[History], **about: Any) -> dict[str, float]:
    """Shares for stored runs, of which all configurations have as many seeds, from 0 on.

    Args:
        claims: to be judged.
        histories: the runs.
        **about: them, for ``ArticleRuns``.

    Returns:
        ``epochs`` and ``kept`` as :func:`replay`, ``decided_everywhere``, and ``other``: of all claims those that are
        decided another way than with all seeds.
    """
    most = 1 + max(run.seed for run in histories)
    runs = [Run(one.optimizer, tuple(one.hyperparameters.items()), one.seed) for one in histories]
    by_run = dict(zip(runs, histories, strict=True))
    there = [run for run in runs if run.seed < FIRST]
    while True:
        seen = ArticleRuns([by_run[run] for run in there], most_seeds=most, **about)
        more = next_runs(there, open_questions(claims, seen), most)
        if not more:
            break
        there += more
    whole, added = judge(claims, ArticleRuns(histories, **about)), judge(claims, seen)
    pairs = [(one.verdict, other.verdict) for one, other in zip(whole, added, strict=True)]
    decided = [pair for pair in pairs if pair[0] in (words.SUPPORTED, words.CONTRADICTED)]
    return {
        "epochs": sum(by_run[run].epochs for run in there) / sum(one.epochs for one in histories),
        "kept": sum(other == one for one, other in decided) / max(len(decided), 1),
        "decided_everywhere": len(decided) / len(claims),
        "other": sum(other not in (one, words.UNDECIDED) for one, other in pairs) / len(claims),
    }


def run() -> None:
    """From the flags to the table."""
    if flags.FLAGS.workdir:
        with report.read() as (results, _):
            runs = results.runs
            about = {name: getattr(runs, name) for name in ("chance", "article_data", "article_setup")}
            found, title = stored(experiment.claims(), results.histories, **about), str(results.origins[0][0])
    else:
        found = replay(STUDIES.value)
        title = f"{STUDIES.value} made studies of {CONFIGURATIONS} configurations and {CLAIMS} claims"
    rows = [(name.replace("_", " "), f"{value:.3f}") for name, value in found.items()]
    Console(width=100).print(common.table(title, ("share", ""), rows))


if __name__ == "__main__":
    report.define("Not used.")
    command.start(run)
