"""Axes become points; what cannot be read is refused in one line that says what is allowed."""

import contextlib
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.article import facts as article
from jaxopt_study.errors import InputError
from jaxopt_study.grids.conditions import condition
from jaxopt_study.grids.points import MOST_POINTS, points
from jaxopt_study.grids.ranges import MOST_OF_AXIS, parsed, values
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import PRECISIONS

RATE, MOMENTUM = registry.OPTIMIZERS["momentum"].hyperparameters


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (0.1, [0.1]),
        ("0.1", [0.1]),
        ("0.001,0.01", [0.001, 0.01]),
        ([0.3, ["0.1", "0.2"][0]], [0.3, 0.1]),
        (np.array([0.5, 0.25]), [0.5, 0.25]),
        ("1e-4:1:decade", [1e-4, 1e-3, 1e-2, 0.1, 1.0]),
        ("0.01:0.1:third_decade", [0.01, 10 ** (-5 / 3), 10 ** (-4 / 3), 0.1]),
        ("0.02:0.5:decade", [0.02, 0.2]),
        ("0.02:0.5:half_decade", [0.02, 0.0632455532033676, 0.2]),
        ("0.5:0.75:linear2", [0.5, 0.75]),
        ("1e-4:1:log5", [1e-4, 1e-3, 1e-2, 0.1, 1.0]),
        ("0:0.9:linear4", [0.0, 0.3, 0.6, 0.9]),
        ("0.1,0.1,0.2:0.2:decade".replace(",0.2:0.2:decade", ""), [0.1]),
        ("0.01:0.1:decade,0.5", [0.01, 0.1, 0.5]),
    ],
)
def test_values_are_numbers_lists_and_ranges(spec, expected):
    assert values(spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (jnp.logspace(-3, -1, 3), [0.001, 0.01, 0.1]),
        (jnp.float32(0.1), [0.1]),
        (np.array(0.1), [0.1]),
        (np.float32(0.1), [0.1]),
        (jnp.bfloat16(0.5), [0.5]),
        ((10.0**-k for k in range(3)), [1.0, 0.1, 0.01]),
        ([jnp.float32(0.3), np.float64(0.1), "1e-2:1e-1:decade"], [0.3, 0.1, 0.01]),
        (range(1, 4), [1.0, 2.0, 3.0]),
    ],
)
def test_arrays_scalars_and_iterators_are_values(spec, expected):
    assert values(spec, RATE) == expected


def test_a_zero_has_no_sign_and_an_axis_may_have_its_most_values():
    assert str(values(-0.0)) == "[0.0]"
    assert len(values(range(1, MOST_OF_AXIS + 1))) == MOST_OF_AXIS


def test_jax_scalars_are_numbers_of_a_listed_point():
    listed = [{"learning_rate": jnp.float32(0.1)}]
    assert points({}, listed=listed, hyperparameters={"learning_rate": RATE}) == [{"learning_rate": 0.1}]
    assert registry.check(registry.family("sgd"), {"learning_rate": np.array(0.1)}) == {"learning_rate": 0.1}


@pytest.mark.parametrize("spec", [jnp.zeros((2, 2)), itertools.count(1), {0.1: 1}, b"1", np.array([1j]), object()])
def test_what_has_no_end_or_is_no_list_of_numbers_is_refused(spec):
    with pytest.raises(InputError, match="learning_rate="):
        values(spec, RATE)


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        (1e39, RATE), ("1e-46", RATE), ("1e-320:1e308:third_decade", RATE), ("1e-320:1e308:third_decade", None),
        ("1e-320:1:log", RATE), (1 - 1e-9, MOMENTUM),
    ],
)  # fmt: skip
def test_what_float32_cannot_hold_is_refused_with_that_reason(spec, number):
    with pytest.raises(InputError, match="float32, which the training computes in, cannot hold it"):
        parsed(spec, number, name="x")


def test_lists_of_many_ranges_are_refused_before_they_are_made():
    with pytest.raises(InputError, match="2000 values and ranges: allowed are up to 100000 values"):
        values(["1e-9:1:log10000"] * 2000, RATE)
    with pytest.raises(InputError, match="paired once"):
        points({}, paired=[["a", "b"] * 50_000])


def test_half_decades_are_the_same_floats_as_the_articles():
    assert values("1e-3:1e-1:half_decade", RATE) == list(article.SGD_RATES)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("", ("learning_rate=", "comma-separated", "above 0")),
        ([], ("learning_rate=",)),
        ("0.1,,0.2", ("learning_rate=:",)),
        (True, ("learning_rate=True",)),
        (None, ("learning_rate=None",)),
        ({"a": 1}, ("learning_rate={",)),
        (10**400, ("learning_rate=1000",)),
        (math.nan, ("learning_rate=nan",)),
        ("0:1:decade", ("learning_rate=0:1:decade", "above 0")),
        ("1:0.1:decade", ("below HIGH",)),
        ("1:1:decade", ("below HIGH",)),
        ("0.1:inf:decade", ("finite",)),
        ("-1:1:decade", ("learning_rate=-1:1:decade", "above 0")),
        ("-1:1:log", ("learning_rate=-1:1:log", "LOW must be below HIGH, both finite, and above 0")),
        ("0.1:1", ("half_decade",)),
        ("0.1:1:2:decade", ("half_decade",)),
        ("a:1:decade", ("half_decade",)),
        ("0.1:1:decades", ("half_decade",)),
        ("0.1:1:log1", ("2 to 10000",)),
        ("0.1:1:log99999999", ("2 to 10000",)),
        ("-1:1:linear3", ("learning_rate=-1:1:linear3", "above 0")),
        ("0.1:1:log", ("learning_rate=0.1:1:log", "number of samples")),
        ("0.1:1:log,0.5", ("stands alone",)),
    ],
)
def test_what_is_no_value_is_refused_by_name(spec, parts):
    with pytest.raises(InputError) as refused:
        values(spec, RATE)
    assert all(part in str(refused.value) for part in parts), refused.value


def test_the_last_axis_varies_fastest_and_each_point_is_there_once():
    found = points({"learning_rate": [0.1, 0.2], "momentum": [0, 0.5, 0]})
    assert [tuple(point.values()) for point in found] == [(0.1, 0), (0.1, 0.5), (0.2, 0), (0.2, 0.5)]
    assert points({}) == [{}]


def test_paired_axes_go_together_and_meet_every_value_of_the_others():
    found = points({"a": [1, 2], "b": [3, 4], "c": [5, 6]}, paired=["a", "c"])
    assert [tuple(point[name] for name in "abc") for point in found] == [(1, 3, 5), (1, 4, 5), (2, 3, 6), (2, 4, 6)]
    two = points({"a": [1, 2], "b": [3, 4], "c": [5, 6], "d": [7, 8]}, paired=[["a", "b"], ("c", "d")])
    assert [tuple(point[name] for name in "abcd") for point in two] == [
        (1, 3, 5, 7), (1, 3, 6, 8), (2, 4, 5, 7), (2, 4, 6, 8),
    ]  # fmt: skip


def test_a_conditional_axis_is_only_there_where_its_condition_holds():
    axes = {"learning_rate": [0.01, 0.1], "momentum": [0.5, 0.9]}
    found = points(axes, when={"momentum": "learning_rate < 0.05"})
    assert found == [
        {"learning_rate": 0.01, "momentum": 0.5},
        {"learning_rate": 0.01, "momentum": 0.9},
        {"learning_rate": 0.1},
    ]
    assert points(axes, when={"momentum": lambda point: point["learning_rate"] < 0.05}) == found


def test_an_axis_that_the_rule_lacks_may_be_left_to_others():
    sgd = {"learning_rate": RATE}
    axes, when = {"learning_rate": [0.1], "momentum": [0.5, 0.9]}, {"momentum": "optimizer != 'sgd'"}
    assert points(axes, when=when, hyperparameters=sgd, context={"optimizer": "sgd"}) == [{"learning_rate": 0.1}]
    with pytest.raises(InputError, match="momentum"):
        points(axes, when=when, hyperparameters=sgd, context={"optimizer": "other"})


def test_points_are_left_out_by_a_condition_that_knows_defaults_and_listed_ones_stay():
    known = {"learning_rate": RATE, "momentum": MOMENTUM}
    found = points(
        {"learning_rate": [0.01, 1]},
        where="momentum * learning_rate < 0.5",
        hyperparameters=known,
        listed=[{"momentum": 0}],
    )
    assert found == [{"learning_rate": 0.01}, {"momentum": 0.0}]


def test_a_range_to_be_sampled_is_even_in_its_numbers_or_in_their_factors_and_legal_at_both_ends():
    linear, log = parsed("2:6:linear", RATE, name="a"), parsed("0.01:1:log", RATE, name="a")
    assert [linear.at(share) for share in (0.0, 0.25, 0.5)] == [2.0, 3.0, 4.0]
    assert [log.at(share) for share in (0.0, 0.25, 0.5)] == [0.01, 0.0316228, 0.1]
    for ends in ("-0.5:0.5:linear", "0.5:1:linear"):
        with pytest.raises(InputError, match=f"momentum={ends}: allowed is .* in \\[0, 1\\)"):
            parsed(ends, MOMENTUM, name="momentum")


@pytest.mark.parametrize("sampler", ["random", "sobol"])
@pytest.mark.parametrize("samples", [1, 5, 16])
def test_samples_lie_in_their_ranges_and_repeat(sampler, samples):
    axes = {"learning_rate": "1e-4:1:log", "momentum": "0:0.99:linear", "eps": [1e-7, 1e-8]}
    found = points(axes, samples=samples, sampler=sampler, seed=3)
    assert len(found) == 2 * samples
    assert all(1e-4 <= point["learning_rate"] <= 1 and 0 <= point["momentum"] <= 0.99 for point in found)
    assert found == points(axes, samples=samples, sampler=sampler, seed=3)
    assert found != points(axes, samples=samples, sampler=sampler, seed=4)


def test_sobol_points_fill_every_cell_and_log_ranges_are_even_in_the_exponent():
    found = points({"a": "1e-4:1:log", "b": "0:1:linear"}, samples=16, sampler="sobol")
    cells = {(int(math.log10(point["a"]) + 4), int(4 * point["b"])) for point in found}
    assert len(cells) == 16


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"axes": {"learning_rat": [0.1]}}, "did you mean learning_rate"),
        ({"axes": {"learning_rate": ["x"]}}, "learning_rate=x"),
        ({"axes": {"learning_rate": "1e-4:1:log"}}, "samples=none"),
        ({"axes": {"learning_rate": [0.1]}, "samples": 4}, "no axis is a range"),
        ({"axes": {"learning_rate": "1e-4:1:log"}, "samples": 0}, "samples=0"),
        ({"axes": {"learning_rate": "1e-4:1:log"}, "samples": 2.5}, "samples=2.5"),
        ({"axes": {"learning_rate": "1e-4:1:log"}, "samples": 4, "sampler": "sobel"}, "sampler=sobel"),
        ({"axes": {"learning_rate": "1e-4:1:log"}, "samples": 4, "seed": -1}, "seed=-1"),
        (
            {"axes": {"learning_rate": [1, 2], "momentum": [0]}, "paired": ["learning_rate", "momentum"]},
            "as many values",
        ),
        ({"axes": {"learning_rate": [1, 2]}, "paired": ["learning_rate"]}, "two or more"),
        ({"axes": {"learning_rate": [1, 2]}, "paired": ["learning_rate", "momentun"]}, "paired=momentun"),
        ({"axes": {"learning_rate": [1, 2]}, "paired": "learning_rate"}, "list of names"),
        ({"axes": {"learning_rate": [1]}, "paired": [["learning_rate", "learning_rate"]]}, "paired once"),
        ({"axes": {"learning_rate": [1]}, "paired": [3]}, "list of names"),
        ({"axes": {"learning_rate": [1]}, "where": "momentun < 1"}, "did you mean momentum"),
        ({"axes": {"learning_rate": [1]}, "when": {"momentum": "learning_rate < 1"}}, "when=momentum"),
        ({"axes": {"learning_rate": [1]}, "listed": [{"momentun": 1}]}, "did you mean momentum"),
        ({"axes": {"learning_rate": [1]}, "listed": [{"momentum": [0.1]}]}, "one number"),
        ({"axes": {"learning_rate": [1]}, "listed": [0.1]}, "table"),
        ({"axes": {"learning_rate": "1e-9:1:log9999", "momentum": "0:0.9:linear9999"}}, str(MOST_POINTS)),
    ],
)
def test_what_makes_no_grid_is_refused(arguments, part):
    with pytest.raises(InputError) as refused:
        points(**arguments, hyperparameters={"learning_rate": RATE, "momentum": MOMENTUM})
    assert part in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < 2 and b > 1", False),
        ("a < 2 or b > 1", True),
        ("not a == 1", False),
        ("0.5 < a <= 1", True),
        ("a in (1, 2) and b not in [2, 3]", True),
        ("name == 'adam' and a * 2 + b / 4 - -1 > 3", True),
    ],
)
def test_conditions_mean_what_python_means(text, expected):
    point = {"a": 1.0, "b": 1.0, "name": "adam"}
    assert condition(text, point)(point) is expected is eval(text, {}, point)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "1", "a +", "a < b.real", "a < len(b)", "__import__('os').system('x') == 0", "a < (lambda: 1)()",
        "a is 1", "a < b if a else b", "a < 2 ** 9", "True", "a < True", "f'{a}' == ''", "a in 'abc'", "(a := 1) < 2",
        "a[0] < 1", "a < [x for x in (1,)]", "a <\x00 1", "a < 1or b", "a < " + "9" * 400,
        "(" * 400 + "a < 1",
        "a < 1; a", "not " * 100 + "a", "a < 1" + " " * 600, "a < " + "9" * 5000,
    ],
)  # fmt: skip
def test_anything_else_is_no_condition_and_is_never_run(text):
    with pytest.raises(InputError) as refused:
        condition(text, ["a", "b"])
    assert len(str(refused.value).splitlines()) == 1


ROOT = 10**-0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate / (1 - momentum) <= 1", True),  # 1.0000000000000002 in binary numbers
        ("rate / (1 - momentum) < 1", False),
        ("1 - momentum - rate == 0", True),
        ("root == 0.316", True),
        ("root == 0.316228", True),
        ("root != 0.316", False),
        ("root < 0.316", False),
        ("0.316 <= root", True),
        ("root in (0.1, 0.316, 0.00316)", True),
        ("root not in [0.316]", False),
        ("root == 0.32", False),
        ("root * 2 == 0.632456", True),
        ("root * 2 >= 0.632456", True),  # 0.6324555 is not, to the last digit
        ("root * 2 < 0.632456", False),
        ("root * 3 <= 0.948683", True),  # 0.9486833
        ("root * 3 > 0.948683", False),
        ("(root * root - 0.1) * 2 == 0", True),
        ("-(root * root - 0.1) >= 0", True),
        ("(root * root - 0.1) / 0.001 > 0", False),
        ("root * root - 0.1 in (0, 1)", True),
        ("root * root - 0.1 not in [1, 2]", True),
        ("near == 1.000001", False),
        ("near == 1.000002", True),
        ("near > 1.000001", True),
        ("near * 1 == 1.00001", False),
        ("high < 1", True),
    ],
)
def test_numbers_compare_as_they_are_written_and_shown(text, expected):
    point = {"rate": 0.1, "momentum": 0.9, "root": ROOT, "near": 1.000002, "high": 0.9996}
    there = {"root": [0.1, ROOT], "near": [1.000001, 1.000002], "high": [0.9, 0.9996]}
    assert condition(text, point, values=there)(point) is expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("learning_rate * weight_decay > 0", 4),
        ("learning_rate * weight_decay <= 0", 2),
        ("1 - momentum > 0", 6),
        ("momentum - 1 >= 0", 0),
        ("0 < 1 - momentum <= 2e-7", 6),
        ("learning_rate * 1 > weight_decay", 5),
        ("learning_rate * learning_rate - 1e-7 == 0", 3),  # 1e-7 and 4e-24 in decimals
    ],
)
def test_only_nothing_is_zero(text, kept):
    axes = {"learning_rate": [1e-4, 10**-3.5], "weight_decay": [0, 1e-4, 1e-7], "momentum": 0.9999999}
    assert len(points(axes, where=text, listed=[{"momentum": 0}])) - 1 == kept


@pytest.mark.parametrize("truth", [bool, np.bool_, jnp.bool_, float])
def test_a_function_says_what_is_left_out_by_whatever_is_true_or_false(truth):
    axes = {"momentum": [0, 0.5, 0.9]}
    assert points(axes, where=lambda point: truth(point["momentum"] > 0.4)) == [{"momentum": 0.5}, {"momentum": 0.9}]
    assert len(points(axes, where=lambda point: None)) == 3
    with pytest.raises(InputError, match=r"where=.*allowed is a function that returns True or False"):
        points(axes, where=lambda point: np.arange(2) < 1)


def test_a_precision_is_compared_by_its_name():
    known = registry.family("sgd").known()
    axes = {"learning_rate": 0.1, "matmul_precision": "float32, bfloat16"}

    def chosen(where):
        found = points(axes, where=where, hyperparameters=known)
        return [PRECISIONS[int(point["matmul_precision"])] for point in found]

    assert chosen(None) == ["float32", "bfloat16"]
    assert chosen("matmul_precision != 'bfloat16'") == chosen("matmul_precision in ('float32',)") == ["float32"]
    assert points({}, listed=[{"matmul_precision": "bfloat16"}], hyperparameters=known) == [{"matmul_precision": 3.0}]
    with pytest.raises(InputError, match="matmul_precision=bfloat: did you mean bfloat16"):
        chosen("matmul_precision == 'bfloat'")


def test_points_are_chosen_by_the_numbers_that_tables_show():
    axes = {"learning_rate": "0.001:1:half_decade", "momentum": [0, 0.9]}
    found = points(axes, where="learning_rate in (0.1, 0.316, 0.00316) and momentum == 0")
    assert [point["learning_rate"] for point in found] == [10**-2.5, 0.1, ROOT]
    with pytest.raises(InputError) as refused:
        points(axes, where="learning_rate == 0.5")
    shown = "it leaves none of 14 points; there are learning_rate 0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1"
    assert str(refused.value) == f"where=learning_rate == 0.5: {shown}"


def test_a_condition_of_many_parts_is_refused():
    condition(" and ".join(["a < 1"] * 33), ["a"])
    with pytest.raises(InputError, match="up to 100 names, numbers and operations"):
        condition(" and ".join(["a < 1"] * 34), ["a"])


@pytest.mark.parametrize(
    "text", ["a / b < 1", "a < 'x'", "a != 'x'", "a in (2, 'x')", "name == 1", "-name < 1", "name * 2 == 3"]
)
def test_a_condition_that_cannot_be_computed_says_for_what(text):
    point = {"a": 1.0, "b": 0.0, "name": "adam"}
    with pytest.raises(InputError, match="cannot be computed"):
        condition(text, point)(point)


@given(st.text(max_size=60))
def test_no_text_makes_values_or_conditions_fail_otherwise(text):
    for read in (lambda: values(text, RATE), lambda: condition(text, ["a"])({"a": 1.0})):
        with contextlib.suppress(InputError):
            read()
