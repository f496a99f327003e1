import math

from jaxopt_study.plots.comparison import Bar, bars


def test_the_lowest_bar_is_starred_and_seeds_without_a_value_are_counted():
    entries = [Bar("sgd", "lr 0.1", [3.0, 5.0]), Bar("adam", "", [2.0, math.nan]), Bar("adagrad", "", [math.nan])]
    entries.append(Bar("rmsprop", "", [4.0, math.nan]))  # its mean is the lowest one's, and yet it does not compete
    said = [text.get_text() for text in bars(entries, unit="epochs", whole=True).axes[0].texts]
    assert said == ["4 \N{BLACK STAR}", "2 (1 of 2 never)", "none", "4 (1 of 2 never)"]


def test_bars_start_at_zero():
    axes = bars([Bar("sgd", "", [0.2]), Bar("adam", "", [0.21])], unit="loss").axes[0]
    assert axes.get_xlim()[0] == 0
