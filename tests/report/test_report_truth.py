"""What the page's pictures show is what its words, keys and tables say; skipped where there is no browser."""

import math

import pytest
from browser import installed
from plot_runs import momentum_grid, run
from report_content import content

from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render

pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
PIECES = "[...document.querySelectorAll('{}')].map((one) => [one, one.parentElement, one.closest('svg g')])"
STROKES = (
    f"{PIECES}.map((all) => ['stroke', 'stroke-dasharray'].map((name) => "
    "all.map((one) => one?.getAttribute(name)).find((value) => value) ?? null))"
)
"""Colours and dashes of lines, which Plot writes on the group where all of it have the same."""


def page_of(histories, **changes):
    """The page of some runs."""
    return render(**content(histories, data=study_data(histories, math.log(2)), **changes))


def rules(count=10, seeds=1):
    """Rules by their letters, two learning rates each."""
    return [
        run(f"rule_{chr(97 + at)}", seed=seed, learning_rate=rate, low=0.3 + at / 100 + rate)
        for at in range(count)
        for rate in (0.01, 0.1)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(("view", "lines"), [("map", "#curves"), ("line", "#overview")])
def test_a_key_has_the_colour_and_the_dashes_of_its_line(show, view, lines):
    many = rules()
    page = show(page_of(many), view="#view?rules=" + "|".join(dict.fromkeys(one.optimizer for one in many)))
    page.click(f'#views [value="{view}"]')
    if view == "map":
        for at in range(10):  # the best of eight are pinned; two more
            page.get(f"document.querySelectorAll('.map')[{at}].querySelector('.cell[aria-pressed=false]').click()")
        page.hover("h1")
    drawn = page.get(STROKES.format(f'{lines} svg [data-mark="line"] path'))
    keys = page.get(STROKES.format(f"{lines} .swatch line"))
    assert len(keys) >= 10
    assert keys == drawn
    assert len(set(map(tuple, keys))) == len(keys)


def test_a_pinned_line_through_all_hyperparameters_has_the_dashes_of_its_key(show):
    page = show(page_of(momentum_grid()))
    page.click("#views [value=parallel]")
    keys = page.get(STROKES.format("#curves .swatch line"))
    assert len(keys) > 1
    assert page.get(STROKES.format('#overview svg [data-mark="line"] path'))[-len(keys) :] == keys
