"""The two halves of a study's seeds, each of which chooses for the other, and what that does to the error of a mean."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxopt_study.history import order_of, several_orders


def folds(seeds: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Seeds to tell of and those that choose for them: every second one for the others; one seed for itself.

    Of several orders of the data the seeds of every second order: those of one have its luck in common.

    Two halves, and not each seed by all others: two sets of others share all but one seed, so that they choose alike
    and their errors add up. Simulated for 20 equal configurations, the 95% interval of the mean then holds the truth in
    89%, 82% and 71% with 3, 5 and 10 seeds; with two halves in 93%, 93% and 92%, without :func:`chosen_by_halves`.
    """
    if several_orders(seeds):
        orders = sorted(set(map(order_of, seeds)))[::2]
        first, second = ([seed for seed in seeds if (order_of(seed) in orders) == of] for of in (True, False))
    else:
        first, second = list(seeds[::2]), list(seeds[1::2])
    return [(first, second), (second, first)] if second else [(first, first)]


AGREE = 0.36
"""Correlation of the means of two equal halves, at most, since each chooses for the other.

Where both choose the same configuration its luck in either half is in both the choice and the mean: 0.32, 0.36, 0.34,
0.26 and 0.19 where 2, 3, 5, 10 and 20 configurations are equal (simulated), 0 where one is clearly the best."""


class Halves(NamedTuple):
    """What is known of the error of a mean over both halves of the seeds.

    Attributes:
        mean: what its variance is times that of as many independent values.
        spread: what the variance of the values is times that of independent ones, since halves that agree lie closer
            together.
    """

    mean: float
    spread: float


def chosen_by_halves(seeds: int) -> Halves:
    """Of so many seeds; the ratio of both is 2.1 of 2, 1.6 of 3, 1.5 of 5 and 1.4 of 10."""
    shared = 2 * AGREE * math.sqrt((seeds + 1) // 2 * (seeds // 2)) / max(seeds, 1)
    return Halves(1 + shared, 1 - shared / (seeds - 1) if seeds > 1 else 1.0)
