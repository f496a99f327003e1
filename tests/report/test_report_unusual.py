"""The page of studies that are unlike most: nothing measured, losses below 0, metrics and rules of the user's own."""

import dataclasses
import math

import numpy as np
import pytest
from browser import installed
from plot_runs import momentum_grid, run
from report_content import ORIGIN
from report_pages import cell, legend

from jaxopt_study.history import History
from jaxopt_study.report import tables
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import directions
from jaxopt_study.report.page import render

pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")


def page_of(runs, origin=ORIGIN):
    """The page of a study of one's own."""
    made = {"best_runs": tables.best_configurations(runs), "runs": tables.summary(runs)}
    data = study_data(runs, math.inf, directions=directions([origin]))
    return render(title="A study", origins=[origin], data=data, **made)


def shifted(one, by):
    curves = {name: curve + by if name.endswith("_loss") else curve for name, curve in one.curves.items()}
    return dataclasses.replace(one, curves=curves)


def test_of_losses_below_0_every_best_one_is_within_its_picture(show):
    pair = [shifted(run("adam", learning_rate=0.1), -10.0), shifted(run("sgd", learning_rate=0.1), -3.0)]
    page = show(page_of([*pair, *(dataclasses.replace(one, seed=1) for one in pair)]))
    places = page.get("[...document.querySelectorAll('#best-picture circle')].map((dot) => +dot.getAttribute('cx'))")
    left, right, width = page.get(
        "(() => { const svg = document.querySelector('#best-picture svg');"
        "const ticks = [...svg.querySelectorAll('[data-mark=\"x-axis tick label\"] text')]"
        ".map((one) => +one.getAttribute('transform').match(/[\\d.]+/)[0]);"
        "return [Math.min(...ticks), Math.max(...ticks), svg.width.baseVal.value]; })()"
    )
    assert len(places) == 2
    assert 0 < places[0] < places[1] < width
    assert left < right


def test_of_runs_that_measured_nothing_there_is_the_table_and_each_ones_card(show):
    empty = {name: curve[:0] for name, curve in run("sgd").curves.items()}
    failed = [History("sgd", {"learning_rate": 0.1}, at, "failed", empty, reason="out of memory") for at in range(60)]
    page = show(page_of(failed))
    assert page.get("document.documentElement.dataset.ready") == "yes"
    assert page.get("document.querySelector('#explore').hidden")
    rows = "document.querySelectorAll('#runs-table tbody tr').length"
    assert page.get(rows) == 50
    page.click("#more")
    assert page.get(rows) == 60
    page.click("#runs-table tbody button")
    assert "failed: out of memory" in page.get("document.querySelector('#card').innerText")
    page.click("#close")
    page.until("!location.hash.includes('run=')")


STARS = (
    "[...document.querySelectorAll('.cell')].filter((one) => one.innerText.includes('\u2605'))"
    ".map((one) => one.ariaLabel)"
)


@pytest.mark.parametrize(
    ("config", "best"),
    [
        ({"metrics": ["score"]}, None),
        ({"metrics": ["score"], "metric_modes": {"score": "max"}}, 0.1),
        ({"metrics": ["score"], "metric_modes": {"score": "min"}}, 0.001),
        ({"metrics": ["score"], "monitor": "score", "mode": "max"}, 0.1),
    ],
)
def test_a_metric_has_a_star_where_somebody_said_which_way_is_better(show, config, best):
    runs = momentum_grid(momenta=(0.9,))
    for one in runs:  # curves that are rising: the larger the rate the higher
        one.curves["score"] = np.full(one.epochs, one.hyperparameters["learning_rate"], np.float32)
    page = show(page_of(runs, ORIGIN._replace(config=ORIGIN.config | config)), view="#view?measure=score")
    stars = page.get(STARS)
    assert len(stars) == (best is not None)
    assert all(f"learning rate {best}:" in star for star in stars)
    lightness = page.get("[...document.querySelectorAll('.cell')].map((one) => d3.lab(one.style.backgroundColor).l)")
    assert lightness[0] != lightness[2]
    assert (lightness[0] < lightness[2]) == (best == 0.001)  # the best is the darkest, or the largest


def test_of_a_metric_without_better_and_worse_a_cell_shows_the_configuration_of_the_lowest_loss(show):
    runs = momentum_grid(seeds=1)
    for one in runs:
        one.curves["score"] = np.full(one.epochs, 1 + one.hyperparameters["momentum"], np.float32)
        one.curves["val_loss"] = one.curves["val_loss"] + np.float32(one.hyperparameters["momentum"])
    page = show(page_of(runs), view="#view?measure=score&y=-")
    assert "of the lowest validation loss over momentum" in page.get("document.querySelector('.map caption').innerText")
    assert page.get("[...document.querySelectorAll('.cell b')].map((one) => one.innerText)") == ["1.00"] * 3


def test_runs_of_several_orders_of_the_data_have_names_of_their_own(show):
    runs = [dataclasses.replace(one, data_seed=order) for one in momentum_grid(seeds=1) for order in (0, 1)]
    page = show(page_of(runs))
    names = page.get("[...document.querySelectorAll('#a option')].map((one) => one.innerText)")
    assert len(set(names)) == len(names) > 3
    assert any(name.endswith(", seed 0, order 1") for name in names)
    shown = page.get("[...document.querySelectorAll('.seeds button')].map((one) => [one.innerText, one.ariaLabel])")
    assert shown[:2] == [["0/0", shown[0][1]], ["0/1", shown[1][1]]]
    assert shown[1][1].startswith("Run of seed 0, order 1: ")
    page.click('#runs-table tr[data-run="1"] button')
    assert page.get("document.querySelector('#card-title').innerText").endswith(", seed 0, order 1")
    page.press("Escape")
    page.get("document.querySelector('#find').focus()")
    page.write("order data_seed=1")
    page.until("document.querySelector('#runs-count').innerText.startsWith('6 of 12')")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("momentum", 'js.make_grid("momentum", learning_rate=0.1)  # the grid; seeds=1'),
        ("optax.adamw", "js.make_grid(optax.adamw, learning_rate=0.1)  # the grid; seeds=1"),
        ("optax.sgd(nesterov=True)", "js.make_grid(rule, learning_rate=0.1)  # the grid; seeds=1; rule is optax.sgd("),
    ],
)
def test_how_to_repeat_a_run_names_rules_as_they_are_given(show, rule, told):
    page = show(page_of([run(rule, learning_rate=0.1)]))
    page.click("#runs-table tbody button")
    assert page.get("document.querySelector('#card pre').innerText").startswith(told)


def test_rules_have_one_name_in_the_answer_the_table_and_the_explorer(show):
    runs = [run(rule, learning_rate=0.1, seed=seed) for rule in ("adam", "momentum") for seed in (0, 1)]
    page = show(page_of(runs))
    for names in (".answers b", ".cards tbody th", "#rules button"):
        found = page.get(f"[...document.querySelectorAll('{names}')].map((one) => one.innerText)")
        assert set(found) == {"Adam", "SGD with momentum"}


def test_the_slider_says_the_epoch_and_an_axis_may_have_any_letters(show):
    runs = [run("mine", **{"\u03b7": rate}) for rate in (0.1, 0.2, 0.3)]
    page = show(page_of(runs))
    slider = "document.querySelector('#epoch')"
    assert page.get(f"{slider}.ariaValueText") == "no epoch"
    page.get(f"(() => {{ {slider}.value = 2; {slider}.dispatchEvent(new Event('input')); }})()")
    assert page.get(f"{slider}.ariaValueText") == "epoch 3"
    page.get("document.querySelector('#find').focus()")
    page.write("\u03b7<=0.2")
    page.until("document.querySelector('#runs-count').innerText.startsWith('2 of 3')")
    page.click("#unpin")
    page.click(cell(η=0.1))
    assert len(legend(page)) == 1
