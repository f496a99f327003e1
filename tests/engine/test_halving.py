"""At each rung the best share goes on, whatever the numbers; a resume finds the rung again."""

import pytest

from jaxopt_study.engine.halving import Rungs, rungs
from jaxopt_study.grids.run import product

RUNS = product("sgd", {"learning_rate": [float(10**-i) for i in range(9)]}, 1)


@pytest.mark.parametrize(
    ("epochs", "factor", "total", "expected"),
    [(27, 3, 9, [3, 9, 27]), (27, 3, 8, [9, 27]), (20, None, 50, [20]), (2, 3, 100, [2]), (8, 2, 3, [4, 8])],
)
def test_rungs_grow_by_the_factor_and_end_with_the_epochs(epochs, factor, total, expected):
    assert rungs(epochs, factor, total) == expected


def test_a_third_goes_on_at_every_rung():
    found = Rungs(27, 3, 9)
    first = found.climb({run: float(i) for i, run in enumerate(RUNS)})
    assert first == RUNS[3:]
    assert (found.next, found.at_last) == (9, False)
    assert found.climb({run: float(i) for i, run in enumerate(RUNS[:3])}) == RUNS[1:3]
    assert found.at_last


def test_runs_that_diverged_before_a_rung_do_not_widen_it():
    found = Rungs(27, 3, 9)
    assert len(found.climb({run: float(i) for i, run in enumerate(RUNS[:7])})) == 4


def test_a_resume_finds_the_rung_and_those_that_wait_there():
    found = Rungs(27, 3, 9)
    assert found.resume({RUNS[0]: 9, RUNS[1]: 5, RUNS[2]: 9}) == [RUNS[0], RUNS[2]]
    assert found.next == 9


def test_without_a_factor_nothing_waits():
    found = Rungs(27, None, 9)
    assert found.resume({RUNS[0]: 27}) == []
    assert found.at_last
