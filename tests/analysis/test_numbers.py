"""Different numbers are written differently, and each as shortly as that allows."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jaxopt_study.analysis.numbers import listed, meant, number, numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**-0.5, "0.316"), (0.1, "0.1"), (1.00001, "1.00001"), (0.0123457, "0.0123457"), (0.99968377, "0.9997"),
        (1e-7, "1e-07"), (0.0, "0"), (0.1 * (1 - 0.9), "0.01"), (128.0, "128"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_number_is_written_in_full_or_in_three_digits(value, text):
    assert number(value) == text


@example([9.999999999990001e29, 9.999999999990002e29])
@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=9))
def test_different_numbers_are_written_differently(values):
    texts = numbers(values)
    assert len(set(texts)) == len(set(values))
    assert all(np.isclose(float(text), value, rtol=1e-2) for text, value in zip(texts, values, strict=True))


def test_only_numbers_that_would_be_written_alike_get_more_digits():
    assert numbers([1.000001, 1.000002, 10**-0.5, 0.1]) == ["1.000001", "1.000002", "0.316", "0.1"]
    assert numbers([10**-0.5, 10**-0.5001]) == ["0.31623", "0.31615"]
    assert listed([0.3, 0.1, 0.2, 0.1], 12) == "0.1, 0.2, 0.3"
    assert listed(range(20), 12) == "0, 1, 2, 3, 4, 5, ... (20 values), 18, 19"


def test_what_is_written_means_a_value_only_if_one_alone_is_written_so():
    assert meant(0.316, [0.1, 10**-0.5]) == 10**-0.5
    assert meant(0.316, [10**-0.5, 10**-0.5001]) == 0.316
    assert meant(0.31623, [10**-0.5, 10**-0.5001]) == 10**-0.5
    assert meant(1.0, [0.9996]) == 1.0
