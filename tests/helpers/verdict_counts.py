"""How often is each claim's verdict wrong? Simulated studies of its worlds, counted by claim and number of seeds.

    PYTHONPATH=. python tests/helpers/verdict_counts.py --studies=1000 --output=counts.csv
    PYTHONPATH=. python tests/helpers/verdict_counts.py --studies=1000 --worlds=null --claims=G4,D3

Each study is drawn with the most seeds and judged with the first 2, 3, 5 and 10 of them. The table is written again
after every batch of studies, so that it may be stopped.
"""

import argparse
import concurrent.futures
import csv
import itertools
import math
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
from claim_worlds import Case, cases
from simulated import draw

from experiments.article.claim import judgement
from experiments.article.find import ArticleRuns
from experiments.command import experiment
from jaxopt_study.analysis import power

SEEDS = (2, 3, 5, 10)
VERDICTS = ("supported", "contradicted", "undecided", "does not apply")
COLUMNS = ("world", "claim", "seeds", "studies", *VERDICTS, "wrong")
BATCH = 5
CLAIMS = {claim.id: claim for claim in experiment.claims()}

Counts = Mapping[tuple[str, int], Counter[str]]
"""Verdicts by claim and number of seeds."""

_WITHOUT_POWER = mock.patch.multiple(power, seeds_needed=lambda *_: None, smallest_visible=lambda *_: math.nan)
"""No verdict hangs on these, which take a sixth of the time."""


def count(case: Case, numbers: Iterable[int], seeds: tuple[int, ...] = SEEDS) -> Counts:
    """Verdicts of the claims of a case in the studies of these numbers."""
    counts = {(claim, of): Counter() for claim in case.claims for of in seeds}
    with _WITHOUT_POWER:
        _count(case, numbers, seeds, counts)
    return counts


def _count(case: Case, numbers: Iterable[int], seeds: tuple[int, ...], counts: Counts) -> None:
    as_kept = ArticleRuns(()).canonical
    for number in numbers:
        drawn = draw(case.world, max(seeds), np.random.default_rng([number, max(seeds)]))
        histories = [as_kept(run) for run in drawn]  # so that no measure of them is taken twice
        for of in seeds:
            runs = ArticleRuns([run for run in histories if run.seed < of], article_setup=True)
            for claim in case.claims:
                counts[claim, of][judgement(CLAIMS[claim], runs).verdict] += 1


def table(found: Mapping[int, Counts]) -> list[list[object]]:
    """A row a case, claim and number of seeds."""
    rows = []
    for place, case in enumerate(cases()):
        for (claim, seeds), verdicts in found.get(place, {}).items():
            wrong = sum(verdicts[verdict] for verdict in case.wrong)
            rows.append([case.kind, claim, seeds, verdicts.total(), *(verdicts[name] for name in VERDICTS), wrong])
    return rows


def batch(place: int, numbers: tuple[int, ...], claims: tuple[str, ...]) -> tuple[int, Counts]:
    """The counts of some claims of one case, of which worlds hold what cannot be sent to a process."""
    return place, count(next(itertools.islice(cases(), place, None))._replace(claims=claims), numbers)


def main() -> None:
    """From the arguments to the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--studies", type=int, default=1000)
    options.add_argument("--first", type=int, default=0, help="number of the first study, to go on with")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--worlds", type=lambda text: text.split(","), help="kinds of worlds; all if not given")
    options.add_argument("--claims", type=lambda text: text.split(","), help="claims; all if not given")
    options.add_argument("--output", type=Path, default=Path("counts.csv"))
    given = options.parse_args()
    claims = {
        place: tuple(claim for claim in case.claims if claim in (given.claims or CLAIMS))
        for place, case in enumerate(cases())
        if case.kind in (given.worlds or (case.kind,))
    }
    places = [place for place, chosen in claims.items() if chosen]
    last = given.first + given.studies
    batches = [tuple(range(n, min(n + BATCH, last))) for n in range(given.first, last, BATCH)]
    found: dict[int, Counts] = {}
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.processes, context) as pool:
        for numbers in batches:
            for place, counts in pool.map(batch, places, [numbers] * len(places), [claims[place] for place in places]):
                before = found.setdefault(place, {key: Counter() for key in counts})
                for key, verdicts in counts.items():
                    before[key].update(verdicts)
            with given.output.open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *table(found)])


if __name__ == "__main__":
    main()
