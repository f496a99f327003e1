"""The commands of what the article leaves open, and the rules that one of them adds."""

import csv
import importlib
import math
import re

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import report, sign_descent
from experiments.article import falling_rates
from jaxopt_study.errors import InputError
from jaxopt_study.grids import run as grid
from jaxopt_study.optimizers import registry, rmsprop

TABLE = [
    # experiment, flags, computations
    ("effective_rate", ("--learning_rates=0.01,0.1", "--momenta=0,0.9"), 6),
    pytest.param("sign_descent", ("--learning_rates=0.001", "--decay_epochs=2"), 9, marks=pytest.mark.slow),
    ("nesterov_gain", ("--learning_rates=0.01", "--momenta=0.5,0.9"), 4),
]


@pytest.mark.parametrize(("name", "flags", "computations"), TABLE)
def test_a_command_leaves_its_figure_its_table_and_a_report(name, flags, computations, tmp_path, monkeypatch):
    before = dict(registry.OPTIMIZERS)
    module = importlib.import_module(f"experiments.{name}")
    assert commands.run(module, *commands.TINY, *flags, f"--workdir={tmp_path}") == 0
    assert len(list((tmp_path / "runs").glob("*.parquet"))) == computations
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {f"{name}.png", f"{name}.svg"}
    assert f'id="{name}"' in (tmp_path / "report.html").read_text()
    path = tmp_path / "tables" / f"{name}.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert all(row["note"] for row in rows)  # one seed has no interval, and the table says so
    monkeypatch.setattr(registry, "OPTIMIZERS", before)  # as in a process that has not heard of the added rules
    again = tmp_path / "again"
    assert commands.run(report, f"--workdir={tmp_path}", f"--output={again}") == 0
    assert (again / "tables" / path.name).read_bytes() == path.read_bytes()


def test_a_length_that_is_no_number_of_epochs_is_refused_in_one_line(tmp_path, capsys):
    assert commands.run(sign_descent, "--decay_epochs=0", f"--workdir={tmp_path}") == 2
    assert re.search(r"--decay_epochs=0: allowed is .*number of epochs above 0", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        (falling_rates.ROOT, [1, 1 / math.sqrt(2), 1 / math.sqrt(11), 1 / math.sqrt(101)]),
        (falling_rates.EXPONENTIAL, [1, 0.01**0.1, 0.01, 0.01**10]),
        (falling_rates.LINE, [1, 0.9, 0, 0]),
    ],
)
def test_a_falling_rate_is_what_it_is_called(course, expected):
    schedule = falling_rates.falling(1.0, 10.0, **falling_rates.FALLING[course])
    np.testing.assert_allclose([schedule(jnp.int32(t)) for t in (0, 1, 10, 100)], expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("course", falling_rates.FALLING)
def test_its_numbers_may_be_traced_and_epochs_are_counted_in_steps(course):
    falling_rates.add_rules()
    family = registry.family("rmsprop_falling")
    numbers = registry.check(family, {"decay_epochs": 5.0, "decay": 0.0, **falling_rates.FALLING[course]})

    def updates(own):
        rule = family.make(own, 2)
        _, found = jax.lax.scan(lambda s, g: rule.update(g, s)[::-1], rule.init(jnp.float32(0)), jnp.ones(10))
        return found

    rate = falling_rates.falling(0.001, 10.0, **falling_rates.FALLING[course])
    # A gradient of 1 over itself: only the rate is left.
    np.testing.assert_allclose(jax.jit(updates)(numbers), -jax.vmap(rate)(jnp.arange(10)), rtol=1e-5, atol=1e-10)


def test_rmsprop_without_memory_is_sign_descent():
    falling_rates.add_rules()
    gradients = jnp.array([1.0, -0.003, 20.0, 0.0])
    sign, own = registry.family("sign_sgd").make({"learning_rate": 0.01}, 1), rmsprop(0.01, 0.0)
    expected, _ = sign.update(gradients, sign.init(gradients))
    np.testing.assert_allclose(own.update(gradients, own.init(gradients))[0], expected, rtol=1e-4)


def test_the_rules_are_added_once_and_not_over_another_of_the_name():
    falling_rates.add_rules()
    known = list(registry.OPTIMIZERS)
    falling_rates.add_rules()
    assert list(registry.OPTIMIZERS) == known
    registry.OPTIMIZERS["sign_sgd"] = registry.family("sgd")
    with pytest.raises(InputError, match="another rule of this name"):
        falling_rates.add_rules()


def test_runs_of_the_added_rules_are_known_in_stores_that_were_written_when_the_rules_stood_in_a_file_of_their_own():
    falling_rates.add_rules()
    falling = grid.make_run("rmsprop_falling", {"decay": 0.0, **falling_rates.FALLING[falling_rates.LINE]}, 0)
    assert grid.fingerprint(falling, {"any": 1}) == "686793613b0c1c68fd3e"
    assert grid.fingerprint(grid.make_run("sign_sgd", {}, 0), {"any": 1}) == "f7335376fee2b31f0640"
