"""Every claim in simulated worlds of known truth: how often its verdict is wrong, and how often it is given at all.

The quick form counts over the seeds together and sees gross errors; the slow one is by claim, world and seeds, and so
is the table that ``tests/helpers/verdict_counts.py`` writes.
"""

import os

import pytest
from claim_worlds import cases
from scipy import stats
from verdict_counts import SEEDS, count

FEW_STUDIES = 4
"""In the quick form, which leaves out the largest number of seeds."""
WRONG = 0.05
RIGHT = {"true": "supported", "false": "contradicted"}


def too_many(wrong, studies, share=WRONG):
    """Whether so many wrong verdicts are no luck: less than one in 10,000 tests would see them."""
    return stats.binom.sf(wrong - 1, studies, share) < 1e-4


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.kind} {'-'.join(case.claims[:9])}")
def test_no_claim_is_often_judged_wrongly(case):
    seen = count(case, range(FEW_STUDIES), SEEDS[:-1])
    for claim in case.claims:
        wrong = sum(seen[claim, seeds][verdict] for seeds in SEEDS[:-1] for verdict in case.wrong)
        assert not too_many(wrong, FEW_STUDIES * len(SEEDS[:-1])), (claim, seen)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.kind} {'-'.join(case.claims[:9])}")
def test_at_most_one_verdict_in_twenty_is_wrong(case):
    studies = int(os.environ.get("STUDIES", "1000"))
    for (claim, seeds), verdicts in count(case, range(studies)).items():
        assert not too_many(sum(verdicts[verdict] for verdict in case.wrong), studies), (claim, seeds, verdicts)
        if seeds == SEEDS[-1] and case.kind in RIGHT:
            assert verdicts[RIGHT[case.kind]] > studies / 2, (claim, verdicts)
