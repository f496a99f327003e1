"""One table of optimizers goes through one set of checks; what is peculiar to a rule is in test_optimizers_rules.py."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_study.optimizers import registry, triangular

STEPS = 30
STEPS_PER_EPOCH = 3


class Rule(NamedTuple):
    """What a family must equal.

    Attributes:
        numbers: hyperparameters at which it is tested; float32 values, so that float64 sees what float32 sees.
        values: per hyperparameter, what is tried along a vmapped axis.
        loop: ``(g, memory, t, **numbers) -> update`` in NumPy; ``memory`` is changed in place, ``t`` starts at 1.
        twin: ``(numbers, t) -> optax.GradientTransformation`` for step ``t``.
        twin_numbers: what differs from ``numbers`` where the twin has another place for epsilon.
    """

    numbers: dict[str, float]
    values: dict[str, list[float]]
    loop: Callable[..., np.ndarray]
    twin: Callable[[dict[str, Any], int], optax.GradientTransformation]
    twin_numbers: Mapping[str, float] = MappingProxyType({})


def sgd_loop(g, memory, t, learning_rate):
    return -learning_rate * g


def momentum_loop(g, memory, t, learning_rate, momentum):
    memory["v"] = momentum * memory.get("v", 0 * g) - learning_rate * g
    return memory["v"]


def momentum_ema_loop(g, memory, t, learning_rate, momentum):
    memory["v"] = momentum * memory.get("v", 0 * g) + (1 - momentum) * g
    return -learning_rate * memory["v"]


def nesterov_loop(g, memory, t, learning_rate, momentum):
    memory["v"] = momentum * memory.get("v", 0 * g) - learning_rate * g
    return momentum * memory["v"] - learning_rate * g


def rmsprop_loop(g, memory, t, learning_rate, decay, eps):
    memory["a"] = decay * memory.get("a", 0 * g) + (1 - decay) * g**2
    return -learning_rate * g / (np.sqrt(memory["a"]) + eps)


def adam_loop(g, memory, t, learning_rate, b1, b2, eps):
    memory["m"] = b1 * memory.get("m", 0 * g) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0 * g) + (1 - b2) * g**2
    rate = learning_rate * np.sqrt(1 - b2**t) / (1 - b1**t)
    return -rate * memory["m"] / (np.sqrt(memory["v"]) + eps)


def adagrad_loop(g, memory, t, learning_rate, initial_accumulator_value, eps):
    memory["s"] = memory.get("s", 0 * g + initial_accumulator_value) + g**2
    return -learning_rate * g / (np.sqrt(memory["s"]) + eps)


def cyclical_loop(g, memory, t, base_learning_rate, max_learning_rate, step_size):
    steps = step_size * STEPS_PER_EPOCH
    cycle = np.floor(1 + (t - 1) / (2 * steps))
    x = abs((t - 1) / steps - 2 * cycle + 1)
    return -(base_learning_rate + (max_learning_rate - base_learning_rate) * max(0, 1 - x)) * g


def cyclical_twin(numbers, t):
    low, high = numbers["base_learning_rate"], numbers["max_learning_rate"]
    corners = [int(i * numbers["step_size"] * STEPS_PER_EPOCH) for i in range(1, 10)]
    scales = {corner: high / low if i % 2 == 0 else low / high for i, corner in enumerate(corners)}
    return optax.sgd(optax.piecewise_interpolate_schedule("linear", low, scales))


def single(**numbers: float) -> dict[str, float]:
    return {name: float(np.float32(value)) for name, value in numbers.items()}


RATES = [0.001, 0.00316, 0.01, 0.0316, 0.1]
SHARES = [0.0, 0.5, 0.9, 0.95, 0.99]
EPSILONS = [1e-8, 1e-7, 1e-5, 1e-3, 1.0]

RULES = {
    "sgd": Rule(single(learning_rate=0.1), {"learning_rate": RATES}, sgd_loop, lambda n, t: optax.sgd(**n)),
    "momentum": Rule(
        single(learning_rate=0.01, momentum=0.9),
        {"learning_rate": RATES, "momentum": SHARES},
        momentum_loop,
        lambda n, t: optax.sgd(**n),
    ),
    "momentum_ema": Rule(
        single(learning_rate=0.01, momentum=0.9),
        {"learning_rate": RATES, "momentum": SHARES},
        momentum_ema_loop,
        lambda n, t: optax.chain(
            optax.ema(n["momentum"], debias=False), optax.scale_by_learning_rate(n["learning_rate"])
        ),
    ),
    "nesterov": Rule(
        single(learning_rate=0.01, momentum=0.9),
        {"learning_rate": RATES, "momentum": SHARES},
        nesterov_loop,
        lambda n, t: optax.sgd(**n, nesterov=True),
    ),
    "rmsprop": Rule(
        single(learning_rate=0.01, decay=0.9, eps=1e-7),
        {"learning_rate": RATES, "decay": SHARES, "eps": EPSILONS},
        rmsprop_loop,
        lambda n, t: optax.rmsprop(**n, eps_in_sqrt=False),
    ),
    "adam": Rule(
        single(learning_rate=0.01, b1=0.9, b2=0.999, eps=1e-7),
        {"learning_rate": RATES, "b1": SHARES, "b2": [*SHARES[1:], 0.999], "eps": EPSILONS},
        adam_loop,
        # Optax adds eps to the root of the corrected moment: there ours is eps / sqrt(1 - b2^t).
        lambda n, t: optax.adam(**{**n, "eps": n["eps"] / np.sqrt(1 - float(n["b2"]) ** t)}),
    ),
    "adagrad": Rule(
        single(learning_rate=0.01, initial_accumulator_value=0.1, eps=1e-7),
        {"learning_rate": RATES, "initial_accumulator_value": [0.0, 0.01, 0.1, 0.5, 1.0], "eps": EPSILONS},
        adagrad_loop,
        lambda n, t: optax.adagrad(**n),
        twin_numbers={"eps": 0.0},
    ),
    "cyclical": Rule(
        single(base_learning_rate=0.1, max_learning_rate=0.4, step_size=2.0),
        {
            "base_learning_rate": RATES,
            "max_learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5],
            "step_size": [0.5, 1.0, 2.0, 2.5, 4.0],
        },
        cyclical_loop,
        cyclical_twin,
    ),
}

every_rule = pytest.mark.parametrize("name", RULES)
rules_with_a_rate = pytest.mark.parametrize("name", [name for name in RULES if name != "cyclical"])


def make(name: str, numbers: dict[str, Any]) -> optax.GradientTransformation:
    return registry.family(name).make(numbers, STEPS_PER_EPOCH)


def weights() -> dict[str, Any]:
    """Nested as networks are, with an empty branch, a scalar and an array of no elements."""
    return {
        "dense": {"kernel": jnp.ones((4, 3)), "bias": jnp.zeros(3)},
        "blocks": [(jnp.full((2, 1, 2), -1.0), jnp.ones(5)), {}],
        "scale": jnp.array(0.5),
        "empty": jnp.zeros((0, 2)),
    }


def gradients(seed: int = 0, steps: int = STEPS) -> list[dict[str, Any]]:
    """From 1e-8, where epsilon rules, to 1e2, with exact zeros among them."""
    rng = np.random.default_rng(seed)

    def draw(w: jax.Array) -> jax.Array:
        sizes = 10.0 ** rng.uniform(-8, 2, w.shape)
        signs = rng.choice([-1.0, 0.0, 1.0], (steps, *w.shape), p=[0.45, 0.1, 0.45])
        return jnp.asarray(sizes * signs * rng.uniform(0.5, 2, (steps, *w.shape)), jnp.float32)

    stacked = jax.tree.map(draw, weights())
    return [jax.tree.map(lambda g, t=t: g[t], stacked) for t in range(steps)]


def walk(rule: optax.GradientTransformation, sequence: list[Any], params: Any = None) -> list[Any]:
    """Returns the update of every step."""
    params = weights() if params is None else params
    state, steps = rule.init(params), []
    for g in sequence:
        updates, state = rule.update(g, state, params)
        steps.append(updates)
    return steps


def scanned(name: str, numbers: dict[str, Any], sequence: Any) -> Any:
    """Returns the updates of all steps, for ``sequence`` stacked along its first axis."""
    rule = make(name, numbers)

    def step(state: Any, g: Any) -> tuple[Any, Any]:
        updates, state = rule.update(g, state)
        return state, updates

    return jax.lax.scan(step, rule.init(weights()), sequence)[1]


def stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def assert_same(left: Any, right: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, left, right)


def assert_near(left: Any, right: Any, rtol: float) -> None:
    """A sum of terms of either sign rounds like its largest term: the tolerance looks at each weight's largest step."""

    def near(a: Any, b: Any) -> None:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.all(np.abs(a - b) <= rtol * np.max(np.abs(b), axis=0, initial=0.0))

    jax.tree.map(near, left, right)


def test_every_registered_optimizer_and_hyperparameter_is_in_the_table():
    assert list(RULES) == list(registry.OF_ARTICLE)
    for name, rule in RULES.items():
        names = [each.name for each in registry.family(name).hyperparameters]
        assert names == list(rule.numbers) == list(rule.values)


@every_rule
def test_equals_a_numpy_loop(name):
    rule, sequence = RULES[name], gradients()
    memories = jax.tree.map(lambda w: {}, weights())
    expected = [
        jax.tree.map(
            lambda g, memory, t=t: rule.loop(np.asarray(g, np.float64), memory, t, **rule.numbers), each, memories
        )
        for t, each in enumerate(sequence, start=1)
    ]
    assert_near(stack(walk(make(name, rule.numbers), sequence)), jax.tree.map(lambda *u: np.stack(u), *expected), 2e-6)


@every_rule
def test_equals_its_optax_twin(name):
    rule, sequence = RULES[name], gradients(1)
    numbers = {**rule.numbers, **rule.twin_numbers}
    state, expected = rule.twin(numbers, 1).init(weights()), []
    for t, g in enumerate(sequence, start=1):
        updates, state = rule.twin(single(**numbers), t).update(g, state, weights())
        expected.append(updates)
    # Optax's own bias correction is 7e-6 off at b2 = 0.999, see one_minus_power.
    assert_near(stack(walk(make(name, numbers), sequence)), stack(expected), 1e-5 if name == "adam" else 1e-6)


@every_rule
def test_traced_numbers_and_python_numbers_give_the_same_bits(name):
    numbers = {each.name: each.default for each in registry.family(name).hyperparameters}
    sequence = stack(gradients())
    constant = jax.jit(lambda s: scanned(name, numbers, s))(sequence)
    assert_same(jax.jit(lambda n, s: scanned(name, n, s))(numbers, sequence), constant)


@every_rule
def test_vmapped_over_every_hyperparameter_equals_one_by_one_and_traces_once(name):
    rule, sequence, traces = RULES[name], stack(gradients()), 0

    @jax.jit
    def sweep(numbers):
        nonlocal traces
        traces += 1
        return jax.vmap(lambda n: scanned(name, n, sequence))(numbers)

    alone = jax.jit(lambda n: scanned(name, n, sequence))
    for varied, values in rule.values.items():
        grid = {key: np.full(len(values), value, np.float32) for key, value in rule.numbers.items()}
        grid[varied] = np.array(values, np.float32)
        together = sweep(grid)
        for i in range(len(values)):
            one = alone({key: value[i] for key, value in grid.items()})
            # Not to the bit: compilers fuse products and sums in loops over vectors otherwise than over scalars.
            assert_near(jax.tree.map(lambda u, i=i: u[i], together), one, 1e-6)
    assert traces == 1


@every_rule
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_keeps_structure_shapes_and_dtypes(name, dtype):
    params = jax.tree.map(lambda w: w.astype(dtype), weights())
    rule = make(name, RULES[name].numbers)
    before = rule.init(params)
    updates, after = jax.jit(rule.update)(params, before, params)
    describe = jax.tree_util.Partial(jax.tree.map, lambda a: (a.shape, a.dtype, a.weak_type))
    assert describe(updates) == describe(params)
    assert describe(after) == describe(before)


@every_rule
def test_a_tree_is_updated_leaf_by_leaf(name):
    rule, sequence = make(name, RULES[name].numbers), gradients()
    whole = [jax.tree.leaves(u) for u in walk(rule, sequence)]
    for i, w in enumerate(jax.tree.leaves(weights())):
        alone = walk(rule, [jax.tree.leaves(g)[i] for g in sequence], w)
        assert_same([u[i] for u in whole], alone)


@every_rule
def test_zero_gradients_leave_the_weights_where_they_are(name):
    still = jax.tree.map(jnp.zeros_like, weights())
    for updates in walk(make(name, RULES[name].numbers), [still] * 3):
        assert_same(updates, still)


@every_rule
def test_without_averages_weights_stop_when_the_gradient_does(name):
    still = jax.tree.map(jnp.zeros_like, weights())
    last = walk(make(name, RULES[name].numbers), [*gradients(), still])[-1]
    moves = any(bool(jnp.any(u != 0)) for u in jax.tree.leaves(last))
    assert moves == (name in ("momentum", "momentum_ema", "nesterov", "adam"))


@every_rule
def test_divergence_is_not_hidden(name):
    bad = jax.tree.map(lambda w: jnp.full_like(w, jnp.nan), weights())
    for u in jax.tree.leaves(walk(make(name, RULES[name].numbers), [bad])[0]):
        assert bool(jnp.all(jnp.isnan(u)))


@rules_with_a_rate
def test_a_scheduled_rate_is_that_of_each_step(name):
    numbers, sequence = RULES[name].numbers, gradients()
    schedule = triangular(0.01, 0.1, 4)
    state, expected = make(name, numbers).init(weights()), []
    for t, g in enumerate(sequence):
        updates, state = make(name, {**numbers, "learning_rate": schedule(jnp.int32(t))}).update(g, state)
        expected.append(updates)
    assert_same(walk(make(name, {**numbers, "learning_rate": schedule}), sequence), expected)


@every_rule
def test_optax_finds_the_number_of_steps_in_the_state(name):
    rule = make(name, RULES[name].numbers)
    state = rule.init(weights())
    for t in range(3):
        assert int(optax.tree.get(state, "count")) == t
        _, state = rule.update(weights(), state)


@every_rule
def test_an_array_of_numbers_outside_vmap_is_refused(name):
    for varied in RULES[name].numbers:
        with pytest.raises(ValueError, match=rf"{varied} has shape \(2,\): a scalar is allowed"):
            walk(make(name, {**RULES[name].numbers, varied: jnp.array([0.1, 0.2])}), gradients(steps=1))
