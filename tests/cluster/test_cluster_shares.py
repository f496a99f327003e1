"""Who gets which runs, without a cluster: nobody idles, nothing is lost, what fells workers is found."""

import random

import pytest
import small

from jaxopt_study.cluster.shares import ATTEMPTS, Capacity, Shares, room
from jaxopt_study.grids.run import group, product

ONE_CORE = Capacity(32, 1, True)
GPU = Capacity(64, 1, False)


def runs(count: int) -> list:
    return product("momentum", {"learning_rate": (0.01,), "momentum": (0.9,)}, count)


def shares_of(todo: list, workers: int = 2, **options: bool) -> Shares:
    shares = Shares(todo, **options)
    for worker in range(workers):
        shares.join(worker)
    return shares


@pytest.mark.parametrize("capacity", [ONE_CORE, GPU, Capacity(32, 4, True), Capacity(2, 1, False)])
@pytest.mark.parametrize("left", [1, 6, 100, 10_000])
def test_a_worker_has_at_least_a_run_and_at_most_its_slots(capacity, left):
    for workers in (1, 2, 64):
        assert 1 <= room(capacity, left, workers) <= capacity.slots


def test_a_batched_program_gets_its_slots_full_and_turns_get_half_a_fair_share():
    assert room(GPU, 1000, 4) == 64
    assert room(GPU, 100, 4) == 25
    assert room(ONE_CORE, 40, 4) == 5
    assert room(Capacity(32, 4, True), 40, 4) == 8  # the same number for each device


def test_every_run_is_given_once_and_one_group_at_a_time():
    todo = [*runs(7), *product("adam", {"learning_rate": (0.01, 0.1), "batch_size": (8.0,)}, 3)]
    shares, given = shares_of(todo, 3), []
    while shares.left:
        for worker in range(3):
            new = shares.give(worker, Capacity(2, 1, True), 3)
            given += new
            held = shares.in_hand[worker]
            assert len({group(run) for run in held}) <= 1
            assert len(held) <= 2
            if held:
                shares.ended(worker, held[0])
    assert sorted(given) == sorted(todo)


def test_workers_begin_with_different_groups_so_that_each_is_compiled_once():
    shares = shares_of([*runs(4), *product("adam", {"learning_rate": (0.01,), "batch_size": (8.0,)}, 4)])
    first, second = (shares.give(worker, ONE_CORE, 2) for worker in range(2))
    assert group(first[0]) != group(second[0])


def test_the_last_runs_are_divided_so_that_nobody_idles_while_another_has_several():
    shares = shares_of(runs(64))
    while shares.waiting:
        for worker in range(2):
            shares.give(worker, ONE_CORE, 2)
            for run in shares.in_hand[worker][: 1 + worker]:  # the second is twice as fast
                shares.ended(worker, run)
    assert max(map(len, shares.in_hand.values())) <= 2


def test_a_worker_of_a_lost_machine_is_not_blamed_and_its_runs_come_first():
    shares = shares_of(runs(10))
    held = shares.give(0, GPU._replace(slots=3), 2)
    assert shares.lost(0, blame=False) == []
    assert shares.give(1, GPU._replace(slots=3), 2) == held
    assert not shares.failures


def test_a_run_that_fells_every_worker_is_found_and_given_up_and_no_other():
    todo = runs(16)
    bad, done, losses = todo[5], [], 0
    shares, failed = shares_of(todo), []
    while shares.left:
        for worker in range(2):
            shares.give(worker, GPU, 2)
            if bad in shares.in_hand[worker]:
                failed += shares.lost(worker, blame=True)
                losses += 1
            for run in list(shares.in_hand[worker]):
                shares.ended(worker, run)
                done.append(run)
    assert failed == [bad]
    assert sorted(done) == sorted(set(todo) - {bad})
    assert losses <= ATTEMPTS + 4  # halves, then three times alone


def test_whole_groups_stay_together():
    shares = shares_of(runs(9), whole=True)
    assert len(shares.give(0, Capacity(2, 1, True), 2)) == 9
    assert shares.give(1, Capacity(2, 1, True), 2) == []
    assert shares.lost(0, blame=True) == []
    assert len(shares.give(1, Capacity(2, 1, True), 2)) == 9


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_every_run_ends_once(seed):
    rng = random.Random(seed)
    todo = [*runs(20), *small.grid(seeds=2)]
    shares, ended, names = shares_of(todo, 0), [], iter(range(10**6))
    while shares.left:
        while len(shares.in_hand) < 3:
            shares.join(next(names))
        worker = rng.choice(list(shares.in_hand))
        shares.give(worker, rng.choice([GPU, ONE_CORE, Capacity(4, 2, True)]), 3)
        match rng.random():
            case x if x < 0.05:
                ended += shares.lost(worker, blame=rng.random() < 0.5)
                shares.leave(worker)
            case x if x < 0.8 and shares.in_hand[worker]:
                run = rng.choice(shares.in_hand[worker])
                shares.ended(worker, run)
                ended.append(run)
    assert sorted(ended) == sorted(set(todo))
