"""What tells a run that has diverged with finite losses, each by itself."""

import jax
import jax.numpy as jnp
import pytest

from jaxopt_study.models.network import Variables
from jaxopt_study.training import step
from jaxopt_study.training.epoch import Start, sound, stuck

INF, NAN = jnp.inf, jnp.nan


def state(params, opt_state=()):
    rest = dict.fromkeys(step.RunState._fields)
    return step.RunState(**{**rest, "variables": Variables(params, ()), "opt_state": opt_state})


@pytest.mark.parametrize(
    ("weights", "memory", "limit", "before", "expected"),
    [
        ([1.0, 2.0], [0.0, 1.0], 3.0, 3.0, True),
        ([1.0, NAN], [0.0, 1.0], 3.0, 3.0, False),
        ([1.0, 2.0], [0.0, INF], 3.0, 3.0, False),
        ([1.0, 2.0], [0.0, 1.0], INF, 3.0, False),
        ([1.0, 2.0], [0.0, 1.0], INF, INF, True),  # such as the least loss of a rule that has seen none
    ],
)
def test_weights_and_what_a_rule_remembers_are_finite_but_for_single_numbers_that_never_were(
    weights, memory, limit, before, expected
):
    now = state({"w": jnp.array(weights)}, (jnp.array(memory), jnp.float32(limit), jnp.int32(7)))
    found = jax.jit(sound)(now, Start({"w": jnp.zeros(2)}, [jnp.float32(before)]))
    assert bool(found) == expected


@pytest.mark.parametrize(
    ("moved", "norm", "expected"),
    [
        ((0.0, 0.0), INF, True),
        ((0.0, 1.0), INF, True),  # one array stands still
        ((1.0, 1.0), INF, False),
        ((0.0, 0.0), NAN, True),
        ((0.0, 0.0), 1e30, False),  # for another reason
    ],
)
def test_an_array_that_does_not_move_while_a_norm_is_beyond_float32_is_stuck(moved, norm, expected):
    before = {"a": jnp.ones(3), "b": jnp.ones((2, 2)), "none": jnp.ones((0, 2))}
    after = before | {"a": before["a"].at[1].add(moved[0]), "b": before["b"].at[1, 0].add(moved[1])}
    sums = step.TrainMetrics(jnp.float32(0), {"grad_norm": jnp.float32(norm)})
    assert bool(jax.jit(stuck)(state(after), Start(before, []), sums)) == expected
