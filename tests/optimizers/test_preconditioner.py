"""What a rule divides by is what its own updates say."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.foreign import rule
from jaxopt_study.optimizers.preconditioner import PRECONDITIONERS

GRADIENTS = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
NUMBERS = {
    "rmsprop": {"learning_rate": 0.1, "decay": 0.8, "eps": 0.01},
    "adagrad": {"learning_rate": 0.1, "initial_accumulator_value": 0.1, "eps": 0.01},
    "adam": {"learning_rate": 0.1, "b1": 0.7, "b2": 0.9, "eps": 0.01},
    "optax.adam": {"learning_rate": 0.1, "b1": 0.7, "b2": 0.9, "eps": 0.01, "eps_root": 0.02},
    "optax.adamw": {"learning_rate": 0.1, "b1": 0.7, "b2": 0.9, "eps": 0.01, "eps_root": 0.02, "weight_decay": 0.0},
}


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
def test_an_update_times_it_is_the_averaged_gradient_times_the_rate(name, clipped):
    if name.startswith("optax"):
        rule(getattr(optax, name.removeprefix("optax.")))
    family, numbers = registry.family(name), NUMBERS[name] | ({"max_norm": 1e6} if clipped else {})
    built = registry.build(family, numbers, 1)
    w = jnp.ones(5)
    state, average = built.init(w), np.zeros(5)
    for g in GRADIENTS:
        updates, state = built.update(jnp.asarray(g), state, w)
        share = numbers.get("b1", 0.0)
        average = share * average + (1 - share) * g
    divided = registry.preconditioner(family, list(numbers))(numbers, state)
    np.testing.assert_allclose(updates * divided, -0.1 * average, rtol=2e-5)


def test_there_is_one_for_each_rule_that_is_tried_here_and_none_for_the_rest():
    assert PRECONDITIONERS.keys() == NUMBERS.keys()
    assert registry.preconditioner(registry.family("momentum"), ["learning_rate", "momentum"]) is None
