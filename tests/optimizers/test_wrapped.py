"""Wrappers around any rule."""

import identities
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.optimizers import cautious, protocol, registry, sam


def bowl(w):
    return 0.5 * jnp.sum(jnp.array([1.0, 4.0]) * w**2)


def descend(family, numbers, steps=4):
    """The weights to be judged after each step, of a quadratic."""
    rule = protocol.adapted(registry.build(family, numbers, 1))
    w, judged = jnp.array([1.0, -2.0]), []
    state = rule.init(w)
    for _ in range(steps):
        extra = {"grad_fn": lambda w, step=None: jax.grad(bowl)(w)}
        updates, state = rule.update(jax.grad(bowl)(w), state, w, **extra)
        w = optax.apply_updates(w, updates)
        judged.append(np.asarray(protocol.eval_params(state, w)))
    return judged


def test_lookahead_s_slow_weights_follow_those_of_the_rule_within():
    family = js.wrapped(optax.lookahead, "sgd", static={"sync_period": 2})
    found = descend(family, {"learning_rate": 0.1, "slow_step_size": 0.5})
    fast = slow = np.array([1.0, -2.0])
    for after in found:
        fast = fast - 0.1 * np.array([1.0, 4.0]) * fast
        if after is found[1] or after is found[3]:
            fast = slow = slow + 0.5 * (fast - slow)
        np.testing.assert_allclose(after, slow, rtol=1e-5)


def test_sam_takes_the_gradient_uphill():
    found = descend(js.wrapped(sam, "momentum"), {"learning_rate": 0.1, "momentum": 0.0, "rho": 0.2}, 1)[0]
    w, curvature = np.array([1.0, -2.0]), np.array([1.0, 4.0])
    up = w + 0.2 * curvature * w / np.linalg.norm(curvature * w)
    np.testing.assert_allclose(found, w - 0.1 * curvature * up, rtol=1e-5)


def test_schedule_free_is_given_the_rate_of_the_rule_within_and_is_judged_at_its_average():
    family = js.wrapped(optax.contrib.schedule_free, "sgd")
    numbers = {"learning_rate": 0.1, "b1": 0.9, "weight_lr_power": 2.0}
    own = descend(registry.family("schedule_free_sgd"), {"learning_rate": 0.1, "b1": 0.9})
    np.testing.assert_allclose(descend(family, numbers), own, rtol=1e-5)


def test_the_numbers_of_both_are_axes_and_what_is_given_is_not():
    family = js.wrapped(optax.contrib.schedule_free, "adam", inner={"b1": 0.0})
    assert family.name == "optax.contrib.schedule_free(adam(b1=0.0))"
    assert [number.name for number in family.hyperparameters] == ["learning_rate", "b2", "eps", "b1", "weight_lr_power"]
    grid = js.make_grid(family, learning_rate=[0.1, 0.2], b1=[0.5])
    assert len(grid.points) == 2
    assert (
        js.wrapped(cautious, optax.lion, inner={"weight_decay": 0.0}).name == "cautious(optax.lion(weight_decay=0.0))"
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: js.wrapped(optax.contrib.schedule_free, "adam"),
            "schedule_free and adam both take b1; allowed is inner=",
        ),
        (lambda: js.wrapped(sam, "cyclical"), "allowed is a rule with a learning_rate"),
        (lambda: js.wrapped(sam, "sgd", inner={"momentum": 0.9}), "inner=momentum: allowed for sgd"),
        (lambda: js.wrapped(sam, "sgd", static={"radius": 1.0}), "static=radius: allowed for sam are rho"),
        (lambda: js.wrapped(lambda optimizer: 1, "sgd"), "it cannot be used here"),
    ],
)
def test_what_cannot_be_wrapped_is_refused_in_one_line(make, said):
    with pytest.raises(InputError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


EDITED = "def thing(learning_rate): return (optax.sgd, optax.adam)[§](learning_rate)"


@pytest.mark.parametrize(
    "around",
    [
        lambda: js.wrapped(optax.lookahead, "thing", static={"sync_period": 2}),
        lambda: js.scheduled("thing", optax.linear_schedule, static={"end_value": 0.1, "transition_steps": 9}),
    ],
)
def test_a_rule_around_one_that_was_edited_is_another(around):
    js.rule(identities.made(EDITED, 0))
    first = around()
    assert around() is first
    js.rule(identities.made(EDITED, 1))
    second = around()
    assert first.identity != second.identity
    assert registry.family(second.name) is second
    js.rule(identities.made(EDITED, 0))
    assert around().identity == first.identity


@pytest.mark.parametrize("epochs", [None, 3.0])
def test_a_schedule_within_goes_by_the_same_epochs_or_the_same_run(epochs):
    """Half of an epoch, or of a run of three, for the rate to rise; alone and within a wrapper."""
    units = {"in_epochs" if epochs is None else "in_runs": ["transition_steps"]}
    static = {"init_value": 0.0, "transition_steps": 0.5}
    warm = js.scheduled("sgd", optax.linear_schedule, "warm", static=static, peak="end_value", **units)
    length = 50 * 0.5 * (epochs or 1)
    for family in (warm, js.wrapped(cautious, "warm")):
        numbers = {"learning_rate": 0.1} | ({"max_epochs": epochs} if family.whole_run else {})
        rule = protocol.adapted(registry.build(family, numbers, 50))
        gradient, found = jnp.ones(2), []
        state = rule.init(gradient)
        for _ in range(4):
            updates, state = rule.update(gradient, state, gradient)
            found.append(updates[0])
        np.testing.assert_allclose(found, [-0.1 * step / length for step in range(4)], rtol=1e-4, atol=1e-9)
    assert family.whole_run == (epochs is not None)
    assert len(js.make_grid(family, learning_rate=[0.1, 0.2]).points) == 2


def test_weights_to_be_judged_are_those_of_the_rule_within_or_asked_for():
    def halved(state, params):
        return jax.tree.map(lambda w: w / 2, params)

    js.rule(optax.adam, "judged", eval_params=halved)
    later = js.scheduled("judged", optax.linear_schedule, static={"end_value": 0.1, "transition_steps": 9})
    assert later.eval_params is halved
    with pytest.raises(InputError, match=r"^optimizer=judged: its eval_params know its own state; allowed"):
        js.wrapped(cautious, "judged")
    assert js.wrapped(cautious, "judged", eval_params=halved).eval_params is halved
