"""Where a rule wants its weights judged, and what it may ask for beside the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import protocol, registry
from jaxopt_study.optimizers.foreign import rule

TARGET = np.array([3.0, -1.0], np.float32)
SCALES = np.array([1.0, 0.2], np.float32)


def loss(w, obj_fn=None, grad_fn=None):
    """Its minimum, 0, is at TARGET."""
    return jnp.sum(SCALES * (w - TARGET) ** 2) / 2


def trained(optimizer, steps):
    """State and weights after so many steps from 0, as a training step would call the rule."""
    optimizer = protocol.adapted(optimizer)

    def step(carry, _):
        state, w = carry
        value, grads = jax.value_and_grad(loss)(w)
        extra = {"value": value, "grad": grads, "value_fn": loss, "obj_fn": loss}
        updates, state = optimizer.update(grads, state, w, grad_fn=lambda w, _: jax.grad(loss)(w), **extra)
        return (state, optax.apply_updates(w, updates)), None

    begin = optimizer.init(jnp.zeros(2)), jnp.zeros(2)
    return jax.jit(lambda: jax.lax.scan(step, begin, length=steps)[0])()


def gradient(w):
    return SCALES * (w - TARGET)


def schedule_free(rate, b1, steps):
    """x and y after so many steps of the equations of Defazio et al., The road less scheduled, 2024, at a constant
    rate, in float64."""
    x = y = z = np.zeros(2)
    for t in range(1, steps + 1):
        z = z - rate * gradient(y)
        x = (1 - 1 / t) * x + z / t
        y = (1 - b1) * z + b1 * x
    return x, y


def test_schedule_free_is_judged_at_its_average():
    state, y = trained(optax.contrib.schedule_free_sgd(0.7, b1=0.9), 40)
    x = protocol.eval_params(state, y)
    expected_x, expected_y = schedule_free(0.7, 0.9, 40)
    np.testing.assert_allclose(x, expected_x, rtol=1e-4)
    np.testing.assert_allclose(y, expected_y, rtol=1e-4)
    assert np.abs(expected_x - expected_y).max() > 0.003  # so that one is not taken for the other
    state, y = trained(optax.contrib.schedule_free_sgd(0.7, b1=0.9), 3000)
    np.testing.assert_allclose(protocol.eval_params(state, y), TARGET, atol=0.01)


def test_schedule_free_is_found_within_a_chain():
    chained = optax.chain(optax.clip(1e6), optax.contrib.schedule_free(optax.sgd(0.7), 0.7))
    state, y = trained(chained, 40)
    np.testing.assert_allclose(protocol.eval_params(state, y), schedule_free(0.7, 0.9, 40)[0], rtol=1e-4)


def test_lookahead_trains_its_fast_weights_and_is_judged_at_its_slow_ones():
    fast = slow = np.zeros(2)
    for step in range(1, 13):
        fast = fast - 0.3 * gradient(fast)
        if step % 5 == 0:
            fast = slow = slow + 0.4 * (fast - slow)
    state, w = trained(optax.lookahead(optax.sgd(0.3), sync_period=5, slow_step_size=0.4), 12)
    np.testing.assert_allclose(w, fast, rtol=1e-5)
    np.testing.assert_allclose(protocol.eval_params(state, w), slow, rtol=1e-5)
    assert np.abs(fast - slow).max() > 0.1


def test_sharpness_aware_minimization_is_judged_before_its_ascent():
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.1))
    visible = optax.contrib.sam(optax.sgd(0.3), ascent)
    within = optax.contrib.sam(optax.sgd(0.3), ascent, opaque_mode=True)
    state, w = trained(visible, 2 * 4)
    np.testing.assert_array_equal(protocol.eval_params(state, w), w)
    ascended, there = trained(visible, 2 * 4 + 1)
    np.testing.assert_allclose(protocol.eval_params(ascended, there), w, rtol=1e-6)
    assert np.abs(there - w).max() > 0.05
    state, other = trained(within, 4)
    np.testing.assert_allclose(other, w, rtol=1e-5)
    assert protocol.eval_params(state, other) is other


@pytest.mark.parametrize("optimizer", [optax.adam(0.1), optax.ema(0.9), optax.MultiSteps(optax.sgd(0.1), 2)])
def test_most_rules_are_judged_at_the_weights_that_they_train(optimizer):
    w = jnp.zeros(2)
    assert protocol.eval_params(optimizer.init(w), w) is w
    assert protocol.judged_by(optimizer.init(w)) == ""


def test_optax_has_no_other_rule_that_says_where_it_is_judged():
    """One that comes with a later version is to be added to those known."""
    names = [name for of in (optax, optax.contrib) for name in dir(of) if "eval_params" in name or name == "lookahead"]
    assert names == ["lookahead", "schedule_free_eval_params"]


def averaged(learning_rate, share=0.9):
    """SGD that keeps an average of its weights, which Optax has no state for."""

    def update(grads, state, params):
        updates = jax.tree.map(lambda g: -learning_rate * g, grads)
        moved = optax.apply_updates(params, updates)
        return updates, {"kept": jax.tree.map(lambda a, w: share * a + (1 - share) * w, state["kept"], moved)}

    return optax.GradientTransformation(lambda params: {"kept": params}, update)


def test_a_rule_of_ones_own_says_where_it_is_judged():
    made = rule(averaged, eval_params=lambda state, params: state["kept"])
    params = {"w": jnp.ones(2)}
    for numbers in ({}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "max_norm": 1.0}):
        built = registry.build(made, {"learning_rate": 0.1, "share": 0.75, **numbers}, 1)
        _, state = built.update({"w": jnp.ones(2)}, built.init(params), params)
        judged = registry.eval_params(made, list(numbers))(state, {"w": jnp.zeros(2)})
        assert 0.9 < float(judged["w"][0]) < 1.0
    assert made.identity != rule(averaged, name="as trained").identity
    with pytest.raises(InputError, match=r"another rule of this name, which differs in .*its evaluation weights"):
        rule(averaged)


def twice(learning_rate):
    return optax.contrib.schedule_free(optax.contrib.schedule_free_sgd(learning_rate), learning_rate)


def of_a_part(learning_rate):
    parts = {"free": optax.contrib.schedule_free_sgd(learning_rate), "plain": optax.sgd(learning_rate)}
    return optax.multi_transform(parts, lambda params: {"w": "free", "b": "plain"})


def beside(learning_rate):
    free = optax.contrib.schedule_free_sgd(learning_rate)
    return optax.chain(free, optax.contrib.schedule_free_sgd(learning_rate))


@pytest.mark.parametrize("factory", [of_a_part, beside])
def test_a_rule_that_does_not_say_where_it_is_judged_is_refused_in_a_line(factory):
    with pytest.raises(InputError, match=r"judged are not those that it trains, .*eval_params=") as told:
        rule(factory)
    assert "\n" not in str(told.value)
    assert rule(factory, eval_params=lambda state, params: params).name == factory.__name__


def test_what_is_not_shaped_like_the_weights_is_refused():
    with pytest.raises(InputError, match="what its eval_params returns is not shaped like the weights"):
        rule(averaged, eval_params=lambda state, params: state)
    with pytest.raises(InputError, match=r"it cannot be used here: TypeError"):
        rule(averaged, eval_params=lambda state: state)


def test_a_schedule_free_run_of_before_is_not_taken_for_one_that_is_judged_elsewhere():
    parts = {what for what, _, _ in rule(optax.contrib.schedule_free_sgd).made_of}
    assert "its evaluation weights" in parts
    assert "its evaluation weights" not in {what for what, _, _ in rule(optax.adamw).made_of}


def test_rules_get_the_functions_that_they_ask_for():
    state, w = trained(optax.lbfgs(), 10)
    np.testing.assert_allclose(w, TARGET, atol=1e-3)
    state, w = trained(optax.contrib.sophia(0.1, weight_decay=0.0, update_interval=1), 5)
    np.testing.assert_allclose(
        state[0].nu, (1 - 0.99**5) * SCALES, rtol=1e-5
    )  # of a diagonal Hessian the signs are lost
    assert js.make_grid(optax.lbfgs).optimizer == "optax.lbfgs"
    assert js.make_grid(optax.contrib.sophia, learning_rate=[0.1]).points


def test_a_rule_that_names_its_extra_arguments_gets_these_alone():
    def update(grads, state, params=None, *, value):
        return jax.tree.map(lambda g: -value * g, grads), state

    named = optax.GradientTransformationExtraArgs(lambda params: (), update)
    updates, _ = protocol.adapted(named).update(jnp.ones(2), (), value=2.0, grad=None, obj_fn=None)
    np.testing.assert_array_equal(updates, [-2.0, -2.0])
