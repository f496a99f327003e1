"""The learning rate range test: what it reads off the losses, and what its command leaves."""

import csv
import math

import commands
import numpy as np
import pytest

from experiments import lr_range_test
from experiments.lr_range_test import range_test, range_tests
from jaxopt_study.history import CURVES, History
from jaxopt_study.plots.picture import Source
from jaxopt_study.plots.selection import NotDrawable

RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def runs(losses, optimizer="sgd", seeds=(0, 1), shift=0.01):
    """A run a rate and seed; its loss ends as given, diverged where that is not finite."""
    return [
        History(
            optimizer, {"learning_rate": rate}, seed, "finished" if math.isfinite(loss) else "diverged",
            {name: np.array([0.69, loss + shift * seed], np.float32) for name in CURVES},
            None if math.isfinite(loss) else 2,
        )
        for rate, loss in zip(RATES, losses, strict=True)
        for seed in seeds
    ]  # fmt: skip


def test_the_rates_are_read_off_the_fall_and_the_rise():
    (test,) = range_tests(runs([0.7, 0.69, 0.5, 0.3, 0.75, math.inf]))
    assert test.losses.shape == (6, 2)
    assert (test.falls_from, test.suggested, test.lowest, test.diverges_from) == (1e-2, 1e-2, 1e-1, 1.0)


def test_a_rule_that_never_learns_has_no_suggested_rate():
    (test,) = range_tests(runs([0.69, 0.7, 0.71, 0.72, math.inf, math.inf]))
    assert math.isnan(test.suggested)
    assert test.diverges_from == 1e-3
    (lost,) = range_tests(runs([math.inf] * 6))
    assert math.isnan(lost.suggested)


def test_one_diverged_seed_makes_a_rate_too_large():
    found = runs([0.7, 0.6, 0.5, 0.4, 0.35, 0.5])
    found[-1] = found[-1].__class__("sgd", {"learning_rate": 10.0}, 1, "diverged", found[-1].curves, 1)
    (test,) = range_tests(found)
    assert test.diverges_from == 10.0


def test_seeds_that_some_rates_lack_are_left_out():
    (test,) = range_tests(runs([0.7, 0.6, 0.5, 0.4, 0.3, 0.5])[:-1])
    assert test.losses.shape == (6, 1)


def test_the_figure_says_in_words_what_it_shows():
    picture = range_test(Source(runs([0.7, 0.69, 0.5, 0.3, 0.75, math.inf]) + runs([0.7] * 6, "adam")))
    assert "most steeply at 0.01" in picture.alt_text
    assert "Adam" in picture.alt_text
    with pytest.raises(NotDrawable):
        range_test(Source(runs([0.7, 0.69, 0.5, 0.3, 0.75, math.inf])[:6]))


def test_the_command_leaves_a_row_and_a_panel_a_rule(tmp_path):
    flags = (
        *commands.TINY,
        "--max_epochs=1",
        "--learning_rates=1e-4:100:decade",
        "--where=optimizer in ('sgd', 'adam')",
    )
    assert commands.run(lr_range_test, *flags, f"--workdir={tmp_path}") == 0
    with (tmp_path / "tables" / "lr_range_test.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["optimizer"] for row in rows} == {"sgd", "adam"}
    assert len(rows) == 2
    assert all(row["rates"] == "7" for row in rows)
    assert (tmp_path / "figures" / "lr_range_test.png").exists()
    assert 'id="lr_range_test"' in (tmp_path / "report.html").read_text()
