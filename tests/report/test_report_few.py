"""The page of the smallest studies: one run, one epoch, nothing that varies; skipped where there is no browser."""

import math

import pytest
from browser import installed
from plot_runs import run
from report_content import content
from report_pages import legend

from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render

pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")
SHOWN = (
    "['select', 'button', 'input', 'summary'].flatMap((kind) => [...document.querySelectorAll(`#explore ${kind}`)])"
    ".filter((one) => one.offsetParent)"
)


def page_of(histories, **changes):
    return render(**content(histories, data=study_data(histories, math.log(2), **changes)))


@pytest.mark.parametrize("view", ["map", "line", "parallel"])
def test_of_one_run_there_are_no_empty_choices_and_its_numbers_are_told(show, view):
    page = show(page_of([run("sgd", learning_rate=0.1)]), view=f"#view?view={view}&pins=sgd:0.1")
    shown = page.get(f"{SHOWN}.map((one) => one.id || one.innerText)")
    assert not {"x", "y", "seeds", "Map", "Lines", "Parallel", "Ranges"} & set(shown)
    assert {"measure", "log", "find"} <= set(shown)
    assert (
        page.get(
            "[...document.querySelectorAll('#explore select')].filter((one) => one.offsetParent && !one.length).length"
        )
        == 0
    )
    assert legend(page)[0].split("\t")[0].strip() == "learning rate 0.1"
    assert page.get("document.querySelectorAll('.cell').length") == 1
    assert "learning rate" in page.get("document.querySelector('#runs-table thead').innerText")
    assert "0.1" in page.get("document.querySelector('#runs-table tbody').innerText").split()


def test_of_one_epoch_there_are_points_with_the_range_of_their_seeds_in_the_middle(show):
    runs = [
        run(rule, seed=seed, learning_rate=0.1, epochs=1, low=0.3 + seed / 10 + at / 100)
        for at, rule in enumerate(("sgd", "adam", "lion"))
        for seed in (0, 1)
    ]
    page = show(page_of(runs))
    ticks = "[...document.querySelectorAll('{} [data-mark=\"x-axis tick label\"] text')].map((one) => one.textContent)"
    for place in ("#curves", "#compare"):
        assert page.get(ticks.format(place)) == ["1"]
    dots = "[...document.querySelectorAll('{} [data-mark=\"dot\"] circle')].map((one) => one.getBoundingClientRect().x)"
    places = page.get(dots.format("#curves"))
    assert len(set(places)) == 3  # beside each other
    left, right = page.get(
        "(({left, right}) => [left, right])(document.querySelector('#curves svg').getBoundingClientRect())"
    )
    assert all(left + 100 < place < right - 100 for place in places)
    bars = "document.querySelectorAll('{} [data-mark=\"rule\"] line:not([stroke=currentColor])').length"
    assert page.get(bars.format("#curves")) >= 3
    assert len(page.get(dots.format("#compare"))) == 1
    assert page.get("[...document.querySelectorAll('#epoch')].filter((one) => one.offsetParent).length") == 0


def test_epochs_on_an_axis_are_whole_and_each_once(show):
    page = show(page_of([run("sgd", learning_rate=rate, epochs=2) for rate in (0.1, 0.2)]))
    ticks = (
        "[...document.querySelectorAll('#curves [data-mark=\"x-axis tick label\"] text')].map((one) => one.textContent)"
    )
    assert page.get(ticks) == ["1", "2"]


def test_curves_are_over_time_where_that_was_measured_and_only_there(show):
    runs = [run(rule, seed=seed, learning_rate=0.1) for rule in ("sgd", "adam", "lion") for seed in (0, 1)]
    page = show(page_of(runs))
    assert not page.get("document.querySelector('#over').offsetParent !== null")
    page = show(page_of(runs, costs={"sgd": 1.0, "adam": 2.0}), view="#view?epoch=3&pins=sgd:0.1|adam:0.1|lion:0.1")
    page.choose("#over", "time")
    ends = (
        "[...document.querySelectorAll('#curves [data-mark=\"line\"] path')].map((one) => one.getBoundingClientRect())"
    )
    widths = page.get(f"{ends}.map((r) => r.width)")
    assert len(widths) == 2
    assert max(widths) / min(widths) == pytest.approx(2.0, rel=0.02)
    told = page.get("document.querySelector('#curves').innerText")
    assert "The time of a step was not measured of Lion." in told
    assert "time, in epochs of SGD" in page.get("document.querySelector('#curves svg').textContent")
    assert page.get("document.querySelectorAll('#curves [data-mark=\"dot\"] circle').length") == 2  # the epoch read off
    assert "over=time" in page.get("location.hash")
