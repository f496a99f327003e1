"""The page's filter takes the page's own words, and says what it does not understand; skipped without a browser."""

import math

import pytest
from browser import installed
from plot_runs import run
from report_content import content

from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render

pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
RUNS = [
    *(
        run("adam", seed=seed, learning_rate=rate, b1=b1, b2=0.999, eps=1e-7, low=0.2 + rate)
        for rate in (0.001, 0.1)
        for b1 in (0.5, 0.9)
        for seed in (0, 1)
    ),
    *(run("rmsprop", learning_rate=0.01, decay=decay, eps=1e-7, low=0.3) for decay in (0.5, 0.95)),
    run("cyclical", base_learning_rate=0.1, max_learning_rate=0.4, step_size=4.0, diverged=3),
]


@pytest.fixture
def find(show):
    page = show(render(**content(RUNS, data=study_data(RUNS, math.log(2)))))

    def find(text):
        page.get("document.querySelector('#find').value = ''; document.querySelector('#find').focus()")
        page.write(text)
        page.get("new Promise((wake) => setTimeout(wake, 200))")
        count = int(page.get("document.querySelector('#runs-count').innerText").split()[0])
        return count, page.get("document.querySelector('#find-wrong').innerText")

    return find


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("beta_1=0.9", 4), ("Beta 1 = 0.9", 4), ("b1=0.9", 4), ("rho<0.95", 1), ("decay (rho)<0.9", 1),
        ("decay<0.9", 1),
        ("Learning Rate>=0.01", 6), ("lr==0.1", 4), ("adam learning rate=0.1 beta 1=0.9", 2), ("val loss<0.3", 4),
        ("validation loss<0.3 seed=0", 2), ("max_learning_rate>0", 1), ("maximum rate>0", 1), ("step>3", 1),
        ("diverged at=3", 1), ("best epoch=6", 10), ("status=diverged", 1), ("status!=diverged", 10),
        ("optimizer=adam", 8), ("optimizer=cyclical learning rate status=diverged", 1),
        ("validation accuracy<=99%", 10),
    ],
)  # fmt: skip
def test_the_names_of_the_page_are_taken_whatever_their_case_and_spaces(find, text, count):
    assert find(text) == (count, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accuracy>0.9", "Not used: no column accuracy; did you mean val_accuracy?"),
        ("loss<0.3", "Not used: no column loss; did you mean val_loss?"),
        ("lerning_rate<1", "Not used: no column lerning_rate; did you mean learning_rate?"),
        ("foo<3", "Not used: no column foo; there are learning_rate, b1, b2, eps, decay, "),
        ("val_loss<", "Not used: val_loss< is not complete: what is it compared with?"),
        ("val_loss<x", "Not used: val_loss<x: x is no number"),
        ("status>3", "Not used: status>3: status takes = or != only"),
        ("<3", "Not used: <3 has no column before it"),
        ("foo_bar_baz<3 bar=", "Not used: no column bar"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named_and_leaves_the_runs_alone(find, text, told):
    count, wrong = find(text)
    assert count == len(RUNS)
    assert told in wrong
    assert wrong.count("Not used") == text.count("foo_bar") + 1


def test_what_is_understood_counts_beside_what_is_not(find):
    assert find("accuracy>0.9 beta 1=0.9") == (4, "Not used: no column accuracy; did you mean val_accuracy?")
