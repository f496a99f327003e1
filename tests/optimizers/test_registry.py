import dataclasses
import inspect
import json
import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxopt_study.errors import InputError
from jaxopt_study.history import CURVES, History
from jaxopt_study.optimizers import adagrad, adam, foreign, momentum, momentum_ema, nesterov, registry, rmsprop
from jaxopt_study.optimizers.family import Hyperparameter
from jaxopt_study.optimizers.registry import TAKEN, canonical, check, family
from jaxopt_study.report.tables import summary
from jaxopt_study.storage.store import to_table

NAMES = ["sgd", "momentum", "momentum_ema", "nesterov", "rmsprop", "adam", "adagrad", "cyclical"]


def updates(name: str, numbers: dict[str, float], steps: int = 9) -> list[float]:
    rule = family(name).make(numbers, 2)
    state, found = rule.init(jnp.float32(0)), []
    for t in range(steps):
        u, state = rule.update(jnp.float32(math.cos(t)), state)
        found.append(float(u))
    return found


def test_the_article_s_optimizers_are_there_each_under_its_own_name():
    assert list(registry.OPTIMIZERS)[: len(NAMES)] == list(registry.OF_ARTICLE) == NAMES
    assert all(name == each.name for name, each in registry.OPTIMIZERS.items())
    assert len({each.title for each in registry.OPTIMIZERS.values()}) == len(registry.OPTIMIZERS)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_legal_and_filled_in_in_order(name):
    each = family(name)
    assert check(each, {}) == {h.name: h.default for h in each.hyperparameters}
    assert list(check(each, {})) == [h.name for h in each.hyperparameters]


@pytest.mark.parametrize("name", NAMES)
def test_no_hyperparameter_is_ignored(name):
    """Every number of a family changes its updates."""
    plain = check(family(name), {})
    for each in family(name).hyperparameters:
        assert updates(name, {**plain, each.name: each.default * 0.5}) != updates(name, plain), each.name


def test_the_cycle_counts_its_half_in_epochs():
    rule = family("cyclical").make({"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0}, 3)
    state, sizes = rule.init(jnp.float32(0)), []
    for _ in range(25):
        u, state = rule.update(jnp.float32(-1), state)
        sizes.append(float(u))
    assert int(np.argmax(sizes)) == 4 * 3
    np.testing.assert_allclose([sizes[0], sizes[12], sizes[24]], [0.1, 0.4, 0.1], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong", "allowed"),
    [
        ("sgd", {"learning_rate": 0.0}, "a number above 0"),
        ("sgd", {"learning_rate": -0.1}, "a number above 0"),
        ("sgd", {"learning_rate": math.inf}, "a number above 0"),
        ("sgd", {"learning_rate": math.nan}, "a number above 0"),
        ("sgd", {"learning_rate": "0.1"}, "a number above 0"),
        ("sgd", {"learning_rate": None}, "a number above 0"),
        ("sgd", {"learning_rate": True}, "a number above 0"),
        ("sgd", {"learning_rate": [0.1]}, "a number above 0"),
        ("momentum", {"momentum": 1.0}, r"a number in \[0, 1\)"),
        ("momentum_ema", {"momentum": -0.1}, r"a number in \[0, 1\)"),
        ("nesterov", {"momentum": 1.5}, r"a number in \[0, 1\)"),
        ("rmsprop", {"decay": 1.0}, r"a number in \[0, 1\)"),
        ("rmsprop", {"eps": 0.0}, "a number above 0"),
        ("adam", {"b1": 1.0}, r"a number in \[0, 1\)"),
        ("adam", {"b2": 1.0}, r"a number in \[0, 1\)"),
        ("adagrad", {"initial_accumulator_value": -1.0}, "a number, at least 0"),
        ("cyclical", {"step_size": 0.0}, "a number of epochs above 0"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(name, wrong, allowed):
    ((hyperparameter, value),) = wrong.items()
    with pytest.raises(InputError, match=f"allowed is {allowed}$") as caught:
        check(family(name), wrong)
    assert str(caught.value).startswith(f"{hyperparameter}={value}: ")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("momentum", {"momentum": 1 - 1e-9}), ("sgd", {"learning_rate": 1e-50}), ("sgd", {"learning_rate": 1e39})],
)
def test_bounds_hold_for_the_float32_that_training_uses(name, wrong):
    with pytest.raises(InputError):
        check(family(name), wrong)


def test_defaults_are_keras_s():
    known = {n: {each.name: each.default for each in family(n).hyperparameters} for n in registry.OF_ARTICLE}
    velocity = {"learning_rate": 0.01, "momentum": 0.9}
    assert known == {
        "sgd": {"learning_rate": 0.01},
        "momentum": velocity,
        "momentum_ema": velocity,
        "nesterov": velocity,
        "rmsprop": {"learning_rate": 0.001, "decay": 0.9, "eps": 1e-7},
        "adam": {"learning_rate": 0.001, "b1": 0.9, "b2": 0.999, "eps": 1e-7},
        "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "eps": 1e-7},
        "cyclical": {"base_learning_rate": 0.1, "max_learning_rate": 0.4, "step_size": 4.0},
    }


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        (adagrad, (0.1, 1e-7)), (rmsprop, (0.9, 1e-7)), (adam, (0.9, 0.999, 1e-7)), (momentum, (0.9,)),
        (momentum_ema, (0.9,)), (nesterov, (0.9,)),
    ],
)  # fmt: skip
def test_functions_have_the_same_defaults(rule, numbers):
    def last(transformation):
        state = transformation.init(jnp.float32(0))
        for gradient in (2.0, -1e-6, 1e-8):  # of which the last is felt by epsilon
            update, state = transformation.update(jnp.float32(gradient), state)
        return float(update)

    assert last(rule(1.0)) == last(rule(1.0, *numbers))


@pytest.mark.parametrize("value", [1, np.float32(0.5), np.int64(2), np.float64(0.1)])
def test_numbers_of_any_kind_become_floats(value):
    found = check(family("sgd"), {"learning_rate": value})["learning_rate"]
    assert type(found) is float
    assert found == value


def test_a_cycle_may_not_run_downwards():
    message = r"base_learning_rate=0.5: allowed is at most max_learning_rate=0.4"
    with pytest.raises(InputError, match=message):
        check(family("cyclical"), {"base_learning_rate": 0.5})
    assert check(family("cyclical"), {"base_learning_rate": 0.4})["base_learning_rate"] == 0.4


def test_an_unknown_optimizer_is_answered_with_the_nearest_name_and_all_names():
    with pytest.raises(
        InputError, match=r"^optimizer=adm: did you mean adam\? allowed are sgd, .*, cyclical, .*, mars_lion$"
    ):
        family("adm")
    with pytest.raises(
        InputError, match=r"^optimizer=lbfgs: did you mean Optax's function, optax.lbfgs\? allowed by name are sgd"
    ):
        family("lbfgs")


def test_an_unknown_hyperparameter_is_answered_with_the_nearest_name_and_those_of_its_optimizer():
    message = r"^hyperparameter=beta1: did you mean b1\? allowed for adam are learning_rate, b1, b2, eps, weight_decay"
    with pytest.raises(InputError, match=message):
        check(family("adam"), {"beta1": 0.9})
    with pytest.raises(InputError, match=r"sgd are learning_rate, weight_decay, .*, patience, matmul_precision$"):
        check(family("sgd"), {"momentum": 0.9})


@pytest.mark.parametrize(
    ("hyperparameter", "allowed", "legal", "illegal"),
    [
        (Hyperparameter("x", 0.5, 0.0, 1.0), "a number in [0, 1)", [0.0, 0.5], [1.0, -0.1]),
        (Hyperparameter("x", 0.5, 0.0, 1.0, low_open=True), "a number in (0, 1)", [0.5], [0.0, 1.0]),
        (Hyperparameter("x", 0.5, 0.0, 1.0, high_open=False), "a number in [0, 1]", [0.0, 1.0], [1.1]),
        (Hyperparameter("x", 0.5, -2.0, math.inf), "a number, at least -2", [-2.0, 9.0], [-2.1, math.inf]),
        (Hyperparameter("x", 0.5, 2.0, math.inf, low_open=True, unit="epochs"), "a number of epochs above 2", [3], [2]),
    ],
)
def test_the_words_for_a_range_say_what_the_check_does(hyperparameter, allowed, legal, illegal):
    assert hyperparameter.allowed == allowed
    for value in legal:
        assert hyperparameter.check(value) == value
    for value in illegal:
        with pytest.raises(InputError):
            hyperparameter.check(value)


@pytest.mark.parametrize("name", ["momentum", "momentum_ema", "nesterov"])
@pytest.mark.parametrize("zero", [0, 0.0, -0.0, 1e-60])
def test_without_momentum_a_run_is_one_of_sgd(name, zero):
    assert canonical(name, {"learning_rate": 0.1, "momentum": zero}) == ("sgd", {"learning_rate": 0.1})


def test_a_cycle_from_a_rate_to_itself_is_sgd():
    numbers = {"base_learning_rate": 0.4, "step_size": 7}
    assert canonical("cyclical", numbers) == ("sgd", {"learning_rate": 0.4})


@pytest.mark.parametrize("name", NAMES)
def test_at_its_defaults_every_optimizer_keeps_its_own_name_and_numbers(name):
    assert canonical(name, {}) == (name, check(family(name), {}))


@given(
    name=st.sampled_from(NAMES),
    rate=st.floats(2**-12, 1.0, width=32),
    share=st.sampled_from([0.0, -0.0, 1e-60, 0.5, 0.9]),
)
def test_the_canonical_run_makes_the_same_updates_to_the_bit(name, rate, share):
    numbers = {"learning_rate": rate, "momentum": share, "base_learning_rate": rate, "max_learning_rate": rate}
    mine = check(family(name), {k: v for k, v in numbers.items() if k in check(family(name), {})})
    other, theirs = canonical(name, mine)
    assert updates(other, theirs, 5) == updates(name, mine, 5)


@pytest.mark.parametrize("name", ["grad_norm", "epoch", "status", "seed", "min_val_loss", "batch_size", "Val_Loss"])
def test_a_number_that_is_named_as_what_every_run_has_is_refused(name):
    def factory(learning_rate, **numbers):
        return optax.chain(optax.clip_by_global_norm(numbers[name]), optax.sgd(learning_rate))

    kind = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter("learning_rate", kind), inspect.Parameter(name, kind, default=1.0)]
    factory.__signature__ = inspect.Signature(taken)
    with pytest.raises(
        InputError, match=f"^hyperparameter={name}: every run has this beside .* allowed is another name"
    ):
        foreign.rule(factory)
    fixed = foreign.rule(factory, "fixed", static={name: 2.0})
    assert [number.name for number in fixed.hyperparameters] == ["learning_rate"]
    with pytest.raises(InputError, match=f"^hyperparameter={name}: "):
        registry.add(dataclasses.replace(fixed, name="other", optional=(Hyperparameter(name, 0.0, 0.0, 1.0),)))


def test_all_columns_of_runs_and_of_their_summary_are_taken():
    run = to_table("f", History("sgd", {}, 0, "failed", {name: np.zeros(0) for name in CURVES}, reason="why"))
    columns = {*run.column_names, *summary([]).columns, *json.loads(run.schema.metadata[b"jaxopt_study"])}
    assert columns - {"hyperparameters", "digest"} <= TAKEN


def test_a_negative_zero_becomes_zero():
    assert math.copysign(1.0, check(family("momentum"), {"momentum": -0.0})["momentum"]) == 1.0


def test_bad_numbers_are_refused_before_a_canonical_name_is_given():
    with pytest.raises(InputError, match=r"learning_rate=-1: "):
        canonical("momentum", {"learning_rate": -1, "momentum": 0})
