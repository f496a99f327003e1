"""The page in a browser, used as a person uses it; skipped where there is none."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import installed
from plot_runs import run
from report_content import content
from report_pages import FILES, GRID, cell, legend
from scipy import stats

from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render

pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")


def test_the_values_of_a_curve_are_those_of_the_store(show):
    page = show()
    page.click("#unpin")
    page.click(cell(learning_rate=0.1, momentum=0.9))
    assert len(legend(page)) == 1
    wanted = [one.curves["val_loss"] for one in GRID if one.hyperparameters == {"learning_rate": 0.1, "momentum": 0.9}]
    for epoch in (1, 4, 6):
        page.get(
            f"(() => {{ const s = document.querySelector('#epoch'); s.value = {epoch - 1};"
            "s.dispatchEvent(new Event('input')); })()"
        )
        assert f"{np.mean([curve[epoch - 1] for curve in wanted]):.4f}" in legend(page)[0]
        assert page.get("document.querySelector('#value-head').innerText") == f"epoch {epoch}"


def test_the_pointer_reads_an_epoch_off_the_picture(show):
    page = show()
    page.click("#unpin")
    page.click(cell(learning_rate=0.001, momentum=0))
    x, y = page.place("#curves svg")
    page.point(x, y)
    epoch = int(page.get("document.querySelector('#value-head').innerText").split()[1])
    losses = [
        one.curves["val_loss"][epoch - 1]
        for one in GRID
        if one.hyperparameters["learning_rate"] == 0.001 and not one.hyperparameters["momentum"]
    ]
    assert 1 < epoch < 6
    assert f"{np.mean(losses):.4f}" in legend(page)[0]


def test_cells_rows_and_columns_choose_curves_and_a_pointer_previews_them(show):
    page = show()
    page.click("#unpin")
    assert legend(page) == []
    page.hover(cell(learning_rate=0.01, momentum=0))
    assert len(legend(page)) == 1
    page.click('th[scope=col] button[title*="learning rate 0.01"]')
    page.hover("h1")
    assert [re.search(r"momentum [\d.]+", line)[0] for line in legend(page)] == ["momentum 0", "momentum 0.9"]
    page.click('th[scope=row] button[title*="momentum 0.9"]')
    page.hover("h1")
    assert len(legend(page)) == 4
    page.click(cell(learning_rate=0.1, momentum=0.9))
    page.hover("h1")
    assert len(legend(page)) == 3


def test_the_best_has_a_star_and_what_diverged_says_when(show):
    page = show()
    told = page.get("[...document.querySelectorAll('.cell')].map((each) => each.innerText.replace(/\\s+/g, ' '))")
    assert sum("\u2605" in text for text in told) == 1
    assert "\u2605" in next(text for text in told if text.startswith("0.34"))
    assert [text for text in told if "diverged" in text] == ["\u2715 diverged, epoch 4"]


def test_runs_are_filtered_by_words_numbers_and_ranges_everywhere(show):
    page = show()

    def find(text):
        page.get("document.querySelector('#find').value = ''; document.querySelector('#find').focus()")
        page.write(text or " ")
        page.until("!document.querySelector('#runs-count').innerText.includes('waiting')")
        page.get("new Promise((wake) => setTimeout(wake, 200))")
        return page.get("document.querySelector('#runs-count').innerText"), page.get(
            "document.querySelectorAll('.cell').length"
        )

    assert find("") == ("21 of 21 runs", 7)
    assert find("diverged") == ("3 of 21 runs", 1)
    assert find("learning_rate<=0.01 momentum=0.9") == ("6 of 21 runs", 2)
    assert find("learning_rate <= 0.01  momentum = 0.9") == ("6 of 21 runs", 2)
    assert find("val_loss<0.4") == ("12 of 21 runs", 4)
    assert find("seed>=2") == ("7 of 21 runs", 7)
    assert find("nothing") == ("0 of 21 runs", 0)
    assert find("") == ("21 of 21 runs", 7)
    page.click(".ranges summary")
    page.until("document.querySelector('#ranges select')")
    page.choose('#ranges select[aria-label="learning rate, at least"]', "2")
    assert page.get("document.querySelectorAll('.cell').length") == 3


def test_runs_sort_both_ways_with_what_is_missing_last(show):
    page = show()
    heads = "[...document.querySelectorAll('#runs-table th')]"
    place = page.get(f"{heads}.findIndex((each) => each.innerText.startsWith('validation loss')) + 1")

    def column():
        page.click(f"#runs-table thead th:nth-child({place}) button")
        return page.get(
            f"[...document.querySelectorAll('#runs-table tbody tr')].map((row) => row.cells[{place - 1}].innerText)"
        )

    up, down = column(), column()
    assert up[-3:] == down[-3:] == ["\N{EN DASH}"] * 3
    assert up[:-3] == sorted(up[:-3])
    assert down[:-3] == sorted(up[:-3], reverse=True)
    assert page.get(f"document.querySelector('#runs-table thead th:nth-child({place})').ariaSort") == "descending"


def test_a_runs_card_has_all_of_its_curves_its_file_and_how_to_repeat_it(show):
    again = "python -m experiments.momentum_grid --max_epochs=6"
    page = show(render(**content(GRID, data=study_data(GRID, math.log(2), files=FILES, again=again))))
    page.click('#runs-table tr[data-run="4"] button')
    assert page.get("document.querySelector('#card').open")
    told = page.get("document.querySelector('#card').innerText")
    for text in (FILES[4], 'optimizer = "momentum"', "momentum = 0.9 }]", again, "--seeds=2", "seed\n1"):
        assert text in told
    assert page.get("document.querySelectorAll('#card svg').length") == 9
    address = page.get("location.hash")
    page.press("Escape")
    page.until("!document.querySelector('#card').open")
    assert page.get("document.activeElement.closest('tr')?.dataset.run") == "4"
    again = show(view=address)
    assert again.get("document.querySelector('#card').open")


@pytest.mark.slow
def test_the_command_of_a_card_trains_the_same_run(show, tmp_path):
    """What it prints is typed into a shell; the run that comes out has the fingerprint, so the file, of the first."""
    place = {"cwd": tmp_path, "check": True, "capture_output": True, "timeout": 200}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    line = [sys.executable, "-m", "experiments.momentum_grid", "--learning_rates=0.00316", "--momenta=0.5"]
    data = ["--image_size=10", "--classes=7,1", "--train_examples=100", "--val_examples=40"]
    subprocess.run([*line, *data, "--seeds=2", "--max_epochs=1", "--workdir=first"], env=environment, **place)
    page = show((tmp_path / "first" / "report.html").read_text())
    page.click('#runs-table tr[data-run="1"] button')
    file = page.get("document.querySelector('#card .file').innerText").split()[-1]
    again = page.get("document.querySelector('#card pre').innerText").replace("python", sys.executable)
    subprocess.run(again, shell=True, env=environment, **place)
    assert (tmp_path / "first" / file).exists()
    assert (tmp_path / "workdir" / "again" / file).exists()


def test_two_are_compared_by_pairs_of_seeds(show):
    first, second = (
        [one for one in GRID if one.hyperparameters == {"learning_rate": rate, "momentum": 0.9}]
        for rate in (0.001, 0.1)
    )
    for at, one in enumerate(second):  # so that the pairs differ
        one.curves["val_loss"][:] += np.float32(0.01) * at**2
    page = show()
    page.click("#unpin")
    page.click(cell(learning_rate=0.001, momentum=0.9))
    page.click(cell(learning_rate=0.1, momentum=0.9))
    gaps = [b.curves["val_loss"].min() - a.curves["val_loss"].min() for a, b in zip(first, second, strict=True)]
    low, high = stats.t.interval(0.95, 2, np.mean(gaps), stats.sem(gaps))
    told = page.get("document.querySelector('#compare .lead').innerText")
    found = [float(number) for number in re.findall(r"[-+]?\d+\.\d+(?:e-?\d+)?", told)]
    np.testing.assert_allclose(found[:3], [np.mean(gaps), low, high], rtol=5e-3)
    assert "3 seeds in pairs" in told
    table = page.get("document.querySelector('#compare table').innerText")
    assert re.search(r"learning rate\s+0.001\s+0.1\s+differs", table)
    assert re.search(r"momentum\s+0.9\s+0.9\s+the same", table)


def test_of_several_orders_of_the_data_two_are_compared_by_the_means_of_each(show):
    gaps = np.float32([[0.1, 0.2], [0.3, 0.5], [0.1, 0.4]])  # [orders, seeds]
    made = [
        dataclasses.replace(run("sgd", seed=seed, learning_rate=rate), data_seed=order)
        for rate in (0.01, 0.1)
        for order in range(3)
        for seed in range(2)
    ]
    for one in made:
        gap = gaps[one.data_seed, one.seed] if one.hyperparameters["learning_rate"] == 0.1 else 0
        one.curves["val_loss"][:] = np.linspace(0.5, 0.1, one.epochs) + gap  # below guessing
    page = show(render(**content(made, data=study_data(made, math.log(2), files=[f"{at:064x}" for at in range(12)]))))
    page.click("#unpin")
    for rate in (0.01, 0.1):
        page.click(cell(learning_rate=rate))
    told = page.get("document.querySelector('#compare .lead').innerText")
    means = gaps.mean(1)
    found = [float(number) for number in re.findall(r"[-+]?\d+\.\d+(?:e-?\d+)?", told)]
    np.testing.assert_allclose(
        found[:3], [means.mean(), *stats.t.interval(0.95, 2, means.mean(), stats.sem(means))], rtol=5e-3, atol=5e-4
    )
    assert "3 orders in pairs" in told


def test_the_address_keeps_what_is_shown(show):
    page = show()
    page.choose("#measure", "oscillation")
    page.click("#log")
    page.click('#views [value="line"]')
    page.click("#unpin")
    page.click('#views [value="map"]')
    page.click(cell(learning_rate=0.1, momentum=0.9))
    slide = "const s = document.querySelector('#epoch'); s.value = 2; s.dispatchEvent(new Event('input'))"
    page.get(f"(() => {{ {slide} }})()")
    other = show(view=page.get("location.hash"))
    assert legend(other) == legend(page)
    assert other.get("document.querySelector('#value-head').innerText") == "epoch 3"
    page.click("#unpin")
    page.click('#views [value="line"]')
    other = show(view=page.get("location.hash"))
    state = (
        "[document.querySelector('#measure').value, document.querySelector('#log').checked,"
        "document.querySelector('#views [aria-pressed=true]').value, document.querySelectorAll('.legend-table').length]"
    )
    assert other.get(state) == ["oscillation", False, "line", 0]


def test_names_may_have_the_signs_that_hold_the_address_together(show):
    rule, number = "a|b~c%7e#:d", "x|y~z#:"
    odd = [run(rule, seed=seed, low=0.3 + rate, **{number: rate}) for rate in (0.1, 0.2, 0.3) for seed in range(2)]
    html = render(**content([*GRID, *odd], data=study_data([*GRID, *odd], math.log(2))))
    page = show(html)
    page.get("[...document.querySelectorAll('#rules button')].at(-1).click()")
    page.click("#unpin")
    page.get("[...document.querySelectorAll('.cell')].at(-1).click()")
    page.click(".ranges summary")
    page.until("document.querySelector('#ranges select')")
    page.choose("#ranges fieldset:last-child select", "1")
    page.hover("h1")
    other = show(html, view=page.get("location.hash"))
    assert len(legend(other)) == 1
    assert legend(other) == legend(page)
    assert other.get("document.querySelector('#runs-count').innerText").startswith("25 of 27")
    other.until("document.querySelector('.ranges').open && document.querySelector('#ranges select')")  # it says why
    page.get("[...document.querySelectorAll('#runs-table tbody button')].at(-1).click()")
    other = show(html, view=page.get("location.hash"))
    assert other.get("document.querySelector('#card').open")
    title = "document.querySelector('#card-title').innerText"
    assert other.get(title) == page.get(title)


def test_a_map_of_drawn_numbers_puts_neighbours_together(show):
    random = np.random.default_rng(0)
    drawn = [
        run(low=0.3 + rate, learning_rate=rate, momentum=float(random.uniform())) for rate in random.uniform(size=90)
    ]
    page = show(render(**content(drawn, data=study_data(drawn, math.log(2)))))
    sizes = "[document.querySelectorAll('.map tbody tr').length, document.querySelectorAll('.map thead button').length]"
    assert page.get(sizes) == [10, 10]
    assert "the best over neighbouring values" in page.get("document.querySelector('.map caption').innerText")
    best = min(one.hyperparameters["learning_rate"] for one in drawn)
    star = page.get(
        "[...document.querySelectorAll('.cell')].find((each) => each.innerText.includes('\u2605')).ariaLabel"
    )
    assert float(re.search(r"learning rate ([\d.e-]+),", star)[1]) == pytest.approx(best, rel=0.01)
    page.click('#views [value="line"]')
    assert page.get("document.querySelectorAll('#overview .legend .swatch').length") <= 16


@pytest.mark.parametrize("view", ["line", "parallel"])
def test_other_pictures_show_every_configuration_and_have_a_table_behind_them(show, view):
    page = show()
    page.click(f'#views [value="{view}"]')
    page.get("document.querySelector('#overview .behind').open = true")
    page.until("document.querySelector('#overview .behind table')")
    assert (
        page.get("document.querySelectorAll('#overview .behind tbody tr').length") == {"line": 7, "parallel": 6}[view]
    )
    assert page.get("document.querySelectorAll('#overview svg[role=img]').length") == 1
    page.click("#unpin")
    page.until("document.querySelector('#overview .behind table')")  # it stays open
    page.click("#overview .behind tbody tr:nth-child(2) button")
    page.hover("h1")
    assert len(legend(page)) == 1
