"""Every claim in simulated worlds of known truth: how often its verdict is wrong, and how often it is given at all.

The quick form counts over the seeds together and sees gross errors; the slow one is by claim, world and seeds:

    pytest -m slow tests/experiments/test_claims_worlds.py
"""

import os
from collections import Counter

import numpy as np
import pytest
from claim_worlds import cases
from scipy import stats
from simulated import study

from experiments.article.claim import judgement
from experiments.command import experiment as catalogue

CLAIMS = {claim.id: claim for claim in catalogue.claims()}
SEEDS = (2, 3, 5, 10)
FEW_STUDIES = 4
"""Of each number of seeds but the largest, in the quick form."""
WRONG = 0.05
RIGHT = {"true": "supported", "false": "contradicted"}


def count(case, seeds, studies, seed=0):
    """Verdicts by claim of so many simulated studies of a world."""
    counts = {claim: Counter() for claim in case.claims}
    for number in range(studies):
        runs = study(case.world, seeds, np.random.default_rng([seed, number, seeds]))
        for claim in case.claims:
            counts[claim][judgement(CLAIMS[claim], runs).verdict] += 1
    return counts


def too_many(wrong, studies, share=WRONG):
    """Whether so many wrong verdicts are no luck: less than one in 10,000 tests would see them."""
    return stats.binom.sf(wrong - 1, studies, share) < 1e-4


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.kind} {'-'.join(case.claims[:9])}")
def test_no_claim_is_often_judged_wrongly(case):
    seen = [count(case, seeds, FEW_STUDIES) for seeds in SEEDS[:-1]]
    for claim in case.claims:
        wrong = sum(counts[claim][verdict] for counts in seen for verdict in case.wrong)
        assert not too_many(wrong, FEW_STUDIES * len(seen)), (claim, seen)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.kind} {'-'.join(case.claims[:9])}")
def test_at_most_one_verdict_in_twenty_is_wrong(case, seeds):
    studies = int(os.environ.get("STUDIES", "1000"))
    counts = count(case, seeds, studies)
    for claim, verdicts in counts.items():
        print(f"{case.kind},{claim},{seeds},{studies}," + ",".join(str(verdicts[v]) for v in
              ("supported", "contradicted", "undecided", "does not apply")))  # fmt: skip
    for claim, verdicts in counts.items():
        assert not too_many(sum(verdicts[verdict] for verdict in case.wrong), studies), (claim, verdicts)
        if seeds == SEEDS[-1] and case.kind in RIGHT:
            assert verdicts[RIGHT[case.kind]] > studies / 2, (claim, verdicts)
