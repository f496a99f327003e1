"""Rules from 2016 on: each equals a loop in NumPy's float64, written from its paper and not from the code."""

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_study import optimizers
from jaxopt_study.optimizers import cautious, muon, protocol, registry, sgd, variance_reduced
from jaxopt_study.optimizers.matrices import as_matrix, hidden_matrices
from jaxopt_study.optimizers.muon import orthogonal

STEPS = 24
Weights = dict[str, np.ndarray]
Loop = Callable[..., Iterator[Weights]]
"""``(weights, gradients of all steps, **numbers)``: gives the weights to be judged after every step."""

SHAPES = {"Conv_0": (2, 2, 1, 4), "Conv_1": (2, 2, 4, 8), "Dense_0": (4, 8), "Dense_1": (8, 8), "bias": (3,)}
HIDDEN = ("Conv_1", "Dense_0")
SQUARE = ("Conv_0", "Dense_1", "bias")
"""As a matrix; the eigenvectors of the others' smallest values, which are 0, are anybody's choice."""


def start() -> Weights:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32).astype(np.float64) for name, shape in SHAPES.items()}


def gradients() -> list[Weights]:
    """Of a slope that is the same for all steps and of noise; norms of 0.3 to 10."""
    rng = np.random.default_rng(1)
    slope = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    sizes = 10.0 ** rng.uniform(-1, 0.3, STEPS)
    drawn = [{n: s * (slope[n] + 2 * rng.normal(size=shape)) for n, shape in SHAPES.items()} for s in sizes]
    return [{name: g.astype(np.float32).astype(np.float64) for name, g in each.items()} for each in drawn]


def by_array(loop: Callable[..., Iterator[np.ndarray]]) -> Loop:
    """A loop of all weights from one of an array."""

    def whole(w: Weights, sequence: list[Weights], **numbers: float) -> Iterator[Weights]:
        loops = {name: loop(w[name], [g[name] for g in sequence], **numbers) for name in w}
        for _ in sequence:
            yield {name: next(each) for name, each in loops.items()}

    return whole


def adam_steps(sequence, b1, b2, eps, nesterov=False):
    m = v = 0.0
    for t, g in enumerate(sequence, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t) if nesterov else m / (1 - b1**t)
        yield ahead / (np.sqrt(v / (1 - b2**t)) + eps)


def adamw_loop(w, sequence, learning_rate, b1, b2, eps, weight_decay, nesterov=False):
    for step in adam_steps(sequence, b1, b2, eps, nesterov):
        w = w - learning_rate * (step + weight_decay * w)
        yield w


def nadamw_loop(w, sequence, **numbers):
    return adamw_loop(w, sequence, **numbers, nesterov=True)


def lion_steps(sequence, b1, b2):
    m = 0.0
    for g in sequence:
        yield np.sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g


def lion_loop(w, sequence, learning_rate, b1, b2, weight_decay):
    for step in lion_steps(sequence, b1, b2):
        w = w - learning_rate * (step + weight_decay * w)
        yield w


def adan_loop(w, sequence, learning_rate, b1, b2, b3, eps, weight_decay):
    m = v = n = 0.0
    last = sequence[0]
    for t, g in enumerate(sequence, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (g - last)
        n = b3 * n + (1 - b3) * (g + b2 * (g - last)) ** 2
        ahead = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        w = w - learning_rate * (ahead / (np.sqrt(n / (1 - b3**t)) + eps) + weight_decay * w)
        last = g
        yield w


def ademamix_loop(w, sequence, learning_rate, b1, b2, b3, alpha, eps, weight_decay):
    fast = slow = v = 0.0
    for t, g in enumerate(sequence, 1):
        fast, slow = b1 * fast + (1 - b1) * g, b3 * slow + (1 - b3) * g
        v = b2 * v + (1 - b2) * g * g
        step = (fast / (1 - b1**t) + alpha * slow) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - learning_rate * (step + weight_decay * w)
        yield w


def adopt_loop(w, sequence, learning_rate, b1, b2, eps):
    m, v = 0.0, sequence[0] ** 2
    yield w
    for t, g in enumerate(sequence[1:], 1):
        bound = t**0.25
        m = b1 * m + (1 - b1) * np.clip(g / np.maximum(np.sqrt(v), eps), -bound, bound)
        w = w - learning_rate * m
        v = b2 * v + (1 - b2) * g * g
        yield w


def prodigy_loop(w, sequence, learning_rate, b1, b2, eps, weight_decay):
    first, d, r = dict(w), 1e-6, 0.0
    m, v, s = (dict.fromkeys(w, 0.0) for _ in range(3))
    for t, g in enumerate(sequence, 1):
        rate = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
        r = np.sqrt(b2) * r + rate * d**2 * sum(np.sum(g[n] * (first[n] - w[n])) for n in w)
        s = {n: np.sqrt(b2) * s[n] + rate * d**2 * g[n] for n in w}
        m = {n: b1 * m[n] + (1 - b1) * d * g[n] for n in w}
        v = {n: b2 * v[n] + (1 - b2) * (d * g[n]) ** 2 for n in w}
        after = max(d, r / sum(np.abs(x).sum() for x in s.values()))
        w = {n: w[n] - rate * d * (m[n] / (np.sqrt(v[n]) + after * eps) + weight_decay * w[n]) for n in w}
        d = after
        yield w


def schedule_free_loop(w, sequence, learning_rate, b1, step=lambda g, t, y: g):
    x = z = y = w
    for t, g in enumerate(sequence, 1):
        z = z - learning_rate * step(g, t, y)
        x = x + (z - x) / t  # the mean of all z: the rate is constant
        y = (1 - b1) * z + b1 * x
        yield x


def schedule_free_adamw_loop(w, sequence, learning_rate, b1, b2, eps, weight_decay):
    v = [0.0]

    def step(g, t, y):
        v[0] = b2 * v[0] + (1 - b2) * g * g
        return g / (np.sqrt(v[0] / (1 - b2**t)) + eps) + weight_decay * y

    return schedule_free_loop(w, sequence, learning_rate, b1, step)


def muon_loop(w, sequence, learning_rate, momentum, weight_decay, adam_share):
    adam = {n: adam_steps([g[n] for g in sequence], 0.9, 0.999, 1e-8) for n in w if n not in HIDDEN}
    m = dict.fromkeys(HIDDEN, 0.0)
    for g in sequence:
        step = {n: adam_share * next(each) for n, each in adam.items()}
        for n in HIDDEN:
            m[n] = momentum * m[n] + (1 - momentum) * g[n]
            ahead = (momentum * m[n] + (1 - momentum) * g[n]).reshape(-1, g[n].shape[-1])
            u, s, vt = np.linalg.svd(ahead / np.linalg.norm(ahead), full_matrices=False)
            for _ in range(5):
                s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
            scale = np.sqrt(max(1.0, ahead.shape[1] / ahead.shape[0]))
            step[n] = (scale * (u * s) @ vt).reshape(g[n].shape)
        w = {n: w[n] - learning_rate * (step[n] + weight_decay * w[n]) for n in w}
        yield w


def soap_of_matrix(w, sequence, learning_rate, b1, b2, eps, weight_decay):
    shape, w = w.shape, w.reshape(-1, w.shape[-1])
    first, *rest = (g.reshape(w.shape) for g in sequence)
    left, right = first @ first.T, first.T @ first
    ql, qr = np.linalg.eigh(left)[1][:, ::-1], np.linalg.eigh(right)[1][:, ::-1]
    m = v = 0.0
    w = w - learning_rate * weight_decay * w
    yield w.reshape(shape)
    for t, g in enumerate(rest, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (ql.T @ g @ qr) ** 2
        turned = (ql.T @ m @ qr) / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        w = w - learning_rate * (ql @ turned @ qr.T + weight_decay * w)
        left, right = b2 * left + (1 - b2) * g @ g.T, b2 * right + (1 - b2) * g.T @ g
        if (t + 1) % 10 == 0:
            ql, qr = np.linalg.qr(left @ ql)[0], np.linalg.qr(right @ qr)[0]
        yield w.reshape(shape)


def soap_loop(w, sequence, **numbers):
    return (soap_of_matrix if w.ndim >= 2 else adamw_loop)(w, sequence, **numbers)


def cautious_loop(w, sequence, steps, learning_rate, weight_decay):
    for step, g in zip(steps, sequence, strict=True):
        moves = step * g > 0
        w = w - learning_rate * (step * moves / max(moves.mean(), 1e-3) + weight_decay * w)
        yield w


def cautious_adamw_loop(w, sequence, learning_rate, b1, b2, eps, weight_decay):
    return cautious_loop(w, sequence, adam_steps(sequence, b1, b2, eps), learning_rate, weight_decay)


def cautious_lion_loop(w, sequence, learning_rate, b1, b2, weight_decay):
    return cautious_loop(w, sequence, lion_steps(sequence, b1, b2), learning_rate, weight_decay)


def corrected(sequence, b1, gamma):
    last = sequence[0]
    for g in sequence:
        c = g + gamma * b1 / (1 - b1) * (g - last)
        yield c / max(1.0, np.sqrt(np.sum(c * c)))
        last = g


def mars_adamw_loop(w, sequence, b1, gamma, **numbers):
    return adamw_loop(w, list(corrected(sequence, b1, gamma)), b1=b1, **numbers)


def mars_lion_loop(w, sequence, learning_rate, b1, gamma, weight_decay):
    m = 0.0
    for c in corrected(sequence, b1, gamma):
        m = b1 * m + (1 - b1) * c
        w = w - learning_rate * (np.sign(m) + weight_decay * w)
        yield w


LOOPS: dict[str, Loop] = {
    "adamw": by_array(adamw_loop),
    "nadamw": by_array(nadamw_loop),
    "lion": by_array(lion_loop),
    "adan": by_array(adan_loop),
    "ademamix": by_array(ademamix_loop),
    "adopt": by_array(adopt_loop),
    "prodigy": prodigy_loop,
    "schedule_free_sgd": by_array(schedule_free_loop),
    "schedule_free_adamw": by_array(schedule_free_adamw_loop),
    "muon": muon_loop,
    "soap": by_array(soap_loop),
    "cautious_adamw": by_array(cautious_adamw_loop),
    "cautious_lion": by_array(cautious_lion_loop),
    "mars_adamw": by_array(mars_adamw_loop),
    "mars_lion": by_array(mars_lion_loop),
}
"""Sophia is below: its gradient has to belong to a loss."""

NUMBERS = {"learning_rate": 0.01, "weight_decay": 0.1, "b3": 0.9, "alpha": 2.0, "gamma": 0.1}
"""Otherwise the defaults; such that each matters within the steps of a test."""


def numbers_of(name: str) -> dict[str, float]:
    return {
        number.name: float(np.float32(NUMBERS.get(number.name, number.default)))
        for number in registry.family(name).hyperparameters
    }


def descend(rule: optax.GradientTransformation, sequence: list[Weights] | None = None) -> list[Weights]:
    """The weights after every step, those to be judged."""
    sequence = gradients() if sequence is None else sequence
    rule = optax.with_extra_args_support(rule)

    def step(before: Any, g: Any) -> tuple[Any, Any]:
        params, state = before
        updates, state = rule.update(g, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), protocol.eval_params(state, params)

    params = jax.tree.map(lambda w: jnp.asarray(w, jnp.float32), start())
    stacked = jax.tree.map(lambda *g: jnp.asarray(np.stack(g), jnp.float32), *sequence)
    after = jax.jit(lambda: jax.lax.scan(step, (params, rule.init(params)), stacked)[1])()
    return [{name: np.asarray(w[t], np.float64) for name, w in after.items()} for t in range(len(sequence))]


def test_every_recent_rule_is_in_the_table():
    recent = [name for name in registry.OPTIMIZERS if name not in registry.OF_ARTICLE]
    assert sorted([*LOOPS, "sophia"]) == sorted(recent)


@pytest.mark.parametrize("name", LOOPS)
def test_equals_a_numpy_loop(name):
    numbers = numbers_of(name)
    expected = list(LOOPS[name](start(), gradients(), **numbers))
    found = descend(registry.family(name).make(numbers, 3))
    for t in range(STEPS):
        for array in SQUARE if name == "soap" else SHAPES:
            moved = max(1e-6, np.abs(expected[t][array] - start()[array]).max())
            np.testing.assert_allclose(
                found[t][array], expected[t][array], atol=2e-4 * moved + 2e-6, rtol=0, err_msg=f"{array}, {t}"
            )


@pytest.mark.parametrize("name", [*LOOPS, "sophia"])
def test_functions_have_the_defaults_of_their_family(name):
    family = registry.family(name)
    taken = inspect.signature(getattr(optimizers, "adamw" if name == "nadamw" else name)).parameters
    for number in family.hyperparameters:
        default = taken[number.name].default
        assert default in (number.default, inspect.Parameter.empty)
        assert (default is inspect.Parameter.empty) <= (number.name == "learning_rate")


def test_sophia_is_the_clipped_step_over_the_curvature_of_a_loss():
    """Of a quadratic whose Hessian is diagonal, where Hutchinson's estimate is exact."""
    curvature = np.array([100.0, 1.0, 0.01])
    rate, b1, b2, gamma, eps, weight_decay = 0.1, 0.9, 0.8, 0.5, 1e-8, 0.1
    names = ("learning_rate", "b1", "b2", "gamma", "eps", "weight_decay")
    rule = registry.family("sophia").make(dict(zip(names, (rate, b1, b2, gamma, eps, weight_decay), strict=True)), 1)

    def loss(params):
        return 0.5 * jnp.sum(jnp.float32(curvature) * params**2)

    @jax.jit
    def stepped(params, state):
        updates, state = rule.update(jax.grad(loss)(params), state, params, obj_fn=loss)
        return optax.apply_updates(params, updates), state

    params, w, m, h = jnp.ones(3), np.ones(3), 0.0, 0.0
    state = rule.init(params)
    for t in range(1, 15):
        params, state = stepped(params, state)
        m = b1 * m + (1 - b1) * curvature * w
        step = np.clip(m / (1 - b1**t) / np.maximum(gamma * h, eps), -1, 1)
        w = w - rate * (step + weight_decay * w)
        h = b2 * h + (1 - b2) * curvature if t % 10 == 1 else h
        np.testing.assert_allclose(params, w, rtol=1e-4, atol=1e-5)


def test_optax_weighs_the_difference_of_gradients_otherwise_than_adan_s_paper():
    """If this fails Optax has mended it, and its rule can take the place of ours."""
    numbers = numbers_of("adan")
    theirs, ours = (descend(make(**numbers))[-1] for make in (optax.adan, optimizers.adan))
    assert any(np.abs(theirs[n] - ours[n]).max() > 1e-3 for n in SHAPES)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5)])
def test_muon_s_matrices_have_singular_values_near_1_and_the_vectors_of_what_they_came_from(shape):
    matrix = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    near = np.asarray(orthogonal(jnp.asarray(matrix)))
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ near @ vt.T
    assert np.all((np.diag(turned) > 0.65) & (np.diag(turned) < 1.25))
    np.testing.assert_allclose(turned - np.diag(np.diag(turned)), 0.0, atol=1e-5)


def test_hidden_matrices_are_neither_the_first_nor_the_last_layer_nor_an_embedding():
    def hidden(**shapes):
        tree = {name: {"kernel": jnp.zeros(shape), "bias": jnp.zeros(shape[-1])} for name, shape in shapes.items()}
        assert not any(found["bias"] for found in hidden_matrices(tree).values())
        return [name for name, found in hidden_matrices(tree).items() if found["kernel"]]

    square = (4, 4)
    layers = {f"Dense_{i}": square for i in range(12)}
    assert hidden(Conv_0=(3, 3, 1, 4), Conv_1=(3, 3, 4, 4), **layers) == sorted({"Conv_1", *layers} - {"Dense_11"})
    assert hidden(first=square, head=square, hidden=square) == ["hidden"]
    assert hidden(Block_0=square, Dense_0=square, Embed_0=square) == ["Block_0"]


def test_a_kernel_of_a_convolution_is_a_matrix_with_a_column_an_output():
    kernel = jnp.arange(24.0).reshape(2, 1, 3, 4)
    np.testing.assert_array_equal(as_matrix(kernel)[:, 1], kernel[..., 1].ravel())


def test_muon_takes_whatever_matrices_it_is_told():
    only_last = functools.partial(muon, hidden=lambda params: {name: name == "Dense_1" for name in params})
    state = only_last(0.1).init({name: jnp.asarray(w) for name, w in start().items()})
    assert [name for name, nu in state.nu.items() if nu.shape == (0,)] == ["Dense_1"]


@pytest.mark.parametrize("name", ["adan", "cautious_adamw"])
def test_a_scheduled_rate_is_that_of_each_step(name):
    """Of the weight decay too. Those of Optax's and of the others are made in the same way."""
    numbers = numbers_of(name)
    rate = numbers.pop("learning_rate")
    constant, stopped = (
        descend(registry.family(name).make({"learning_rate": each, **numbers}, 1))
        for each in (rate, lambda count: jnp.where(count < 2, rate, 0.0))
    )
    for array in SHAPES:
        np.testing.assert_allclose(stopped[1][array], constant[1][array], rtol=1e-6)
        np.testing.assert_array_equal(stopped[-1][array], stopped[1][array])
        assert np.abs(constant[-1][array] - constant[1][array]).max() > 1e-3


def test_cautious_and_variance_reduced_go_around_any_rule():
    g, opposed = jnp.array([3.0, -4.0]), jnp.array([3.0, 2.0])
    momentum = optax.sgd(0.1, momentum=0.9)
    rule = cautious(momentum)
    state = rule.init(g)
    updates, state = rule.update(g, state)
    np.testing.assert_allclose(updates, -0.1 * g, rtol=1e-6)  # all go down: nothing changes
    updates, _ = rule.update(opposed, state)
    np.testing.assert_allclose(updates, [-0.2 * (3 + 2.7), 0.0], rtol=1e-5)
    reduced = optax.chain(variance_reduced(0.5, 1.0), sgd(1.0))
    state = reduced.init(g)
    updates, state = reduced.update(g, state)
    np.testing.assert_allclose(updates, -g / 5, rtol=1e-6)
    updates, _ = reduced.update(g + 0.1 * g, state)  # g + 0.1 g and the same correction again
    np.testing.assert_allclose(updates, -g / 5, rtol=1e-6)


@pytest.mark.parametrize("name", ["adan", "muon", "soap", "cautious_lion", "mars_lion"])
def test_divergence_is_not_hidden(name):
    nan = [{array: np.full(shape, np.nan) for array, shape in SHAPES.items()}] * 2
    assert all(np.isnan(w).any() for w in descend(registry.family(name).make(numbers_of(name), 1), nan)[-1].values())


def test_a_side_that_is_too_long_is_not_rotated(monkeypatch):
    monkeypatch.setattr(importlib.import_module("jaxopt_study.optimizers.soap"), "LONGEST", 4)
    rule = registry.family("soap").make(numbers_of("soap"), 1)
    params = {array: jnp.asarray(w, jnp.float32) for array, w in start().items()}
    updates, state = rule.update(params, rule.init(params), params)
    assert {x.shape for x in jax.tree.leaves(state) if x.ndim == 2 and x.shape[0] == x.shape[1]} >= {(0, 0)}
    assert jax.tree.map(jnp.shape, updates) == SHAPES
