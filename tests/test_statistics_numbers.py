"""The numbers that docs/statistics.md tells of the published study are those of its table."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from jaxopt_study.analysis import power
from jaxopt_study.analysis.intervals import Mean, seed_mean
from jaxopt_study.analysis.moderated import moderate, prior_of

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "experiments" / "results" / "cats_vs_dogs_32" / "summary.csv"
DOCUMENT = " ".join((ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def losses():
    """Lowest validation losses of the configurations of which every seed learns, ``[C, S]``."""
    cells = {}
    with PUBLISHED.open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            numbers = tuple(row.values())[: list(row).index("seed")]
            cells.setdefault(numbers, []).append((float(row["min_val_loss"] or "nan"), row["status"]))
    learn = [of for of in cells.values() if all(loss < math.log(2) and status != "diverged" for loss, status in of)]
    return np.array([[loss for loss, _ in of] for of in learn])


@pytest.fixture(scope="module")
def prior(losses):
    """Of the variance of differences."""
    return prior_of([dict(enumerate(of)) for of in losses], range(losses.shape[1]), (1.0, -1.0))


def test_what_is_said_of_moderated_intervals(losses, prior):
    logs = prior_of([dict(enumerate(np.log(of))) for of in losses], range(losses.shape[1]))
    assert f"{len(losses)} of which learn in all" in DOCUMENT
    assert f"d0 = {prior.dof:.1f}, s0 = {prior.variance**0.5:.3f} nats" in DOCUMENT
    assert f"logarithms of the losses d0 = {logs.dof:.1f}, s0 = {100 * logs.variance**0.5:.1f}%" in DOCUMENT
    widths, apart, near = [], [], []
    for first, second in itertools.combinations(losses, 2):
        by_seed, difference = dict(enumerate(first - second)), abs(float((first - second).mean()))
        halves = [seed_mean(by_seed, known).half_width() for known in (prior, None)]
        widths.append(halves[0] / halves[1])
        apart.append([difference > half for half in halves])
        near.append(difference < 0.05)
    told, close = (100 * np.mean(which, axis=0) for which in (apart, np.array(apart)[near]))
    assert f"its {len(widths):,} pairs are {np.median(widths):.2f} as wide as Student's (median)" in DOCUMENT
    assert f"{told[0]:.0f}% of the pairs are told apart instead of {told[1]:.0f}%" in DOCUMENT
    assert f"0.05 nats apart {close[0]:.0f}% instead of {close[1]:.0f}%" in DOCUMENT


def test_what_is_said_of_power(losses, prior):
    seeds = losses.shape[1]
    variance, dof = moderate(prior.variance, seeds - 1, prior)
    mean = Mean(0.0, math.sqrt(variance), dof, seeds, 0.0, "")
    first, second, third = (power.seeds_needed(mean, effect) for effect in (0.02, 0.01, 0.005))
    assert f"three seeds see {power.smallest_visible(mean):.3f} nats" in DOCUMENT
    assert f"0.02, 0.01 and 0.005 nats need {first}, {second} and {third}." in DOCUMENT


def test_what_is_said_of_pairing(losses):
    apart = np.var(losses[:, None] - losses[None], axis=2, ddof=1)
    alone = losses.var(axis=1, ddof=1)
    pairs = np.triu_indices(len(losses), 1)
    shared = apart[pairs].mean() / (alone[:, None] + alone)[pairs].mean()
    assert f"over all pairs of configurations that learn, it is {shared:.2f}:" in DOCUMENT
