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
from browser import Browser, installed
from plot_runs import everything, momentum_grid, run
from report_content import HOSTILE, content, runs
from scipy import stats

from experiments.command import experiment as catalogue
from jaxopt_study.plots.picture import save_pictures
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import Origin
from jaxopt_study.report.page import render
from jaxopt_study.report.problems import over_problems

AXE = Path(__file__).parents[1] / "helpers" / "vendor" / "axe.min.js"
VIOLATIONS = "violations.map((one) => [one.id, one.nodes.length, one.nodes[0].html, one.nodes[0].failureSummary])"
WIDTHS = [390, 768, 1440]
pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return save_pictures(catalogue.pictures("momentum_formulations", everything(1)), tmp_path_factory.mktemp("figures"))


GRID = [
    *momentum_grid(seeds=3),
    *(run("momentum", seed=s, learning_rate=1.0, momentum=0.9, diverged=4) for s in range(3)),
]
FILES = [f"{at:064x}" for at in range(len(GRID))]


@pytest.fixture
def show(browser, tmp_path):
    """``show(html, view, ..)``: the page in a tab, whose console must have stayed silent in the end."""
    pages = []

    def show(html=None, view="", **screen):
        path = tmp_path / "report.html"
        path.write_text(html or render(**content(GRID, data=study_data(GRID, math.log(2), files=FILES))))
        pages.append(browser.open(f"file://{path}{view}", **screen))
        return pages[-1]

    yield show
    for page in pages:
        assert page.complaints() == []
        page.close()


def cell(**numbers):
    """The cell of a configuration."""
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
    return f'.cell[aria-label*="{told}:"]'


def legend(page):
    """What is said to be shown: each configuration's line of the legend."""
    return page.get("[...document.querySelectorAll('.legend-table tbody tr')].map((row) => row.innerText)")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways_whatever_is_open(show, figures, width):
    page = show(render(**content([*runs(), *everything(1)], figures=figures, notes=["a" * 200])), width=width)
    page.get("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.get("document.documentElement.scrollWidth") <= width
    sizes = "(image) => { image.loading = 'eager'; return image.decode().then(() => image.naturalWidth); }"
    assert min(page.get(f"Promise.all([...document.images].map({sizes}))")) > 100
    assert page.get("document.images.length") == len(figures)


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
        one.curves["val_loss"][:] = np.linspace(0.9, 0.5, one.epochs) + gap
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
    assert page.get("document.querySelectorAll('#overview .legend .key, #overview .legend [class*=key]').length") <= 16


@pytest.mark.parametrize("dark", [False, True])
def test_what_stands_in_a_cell_can_be_read_on_every_shade(show, dark):
    many = momentum_grid(np.linspace(0.001, 0.37, 45).round(4).tolist(), (0.0, 0.5), seeds=1)
    page = show(render(**content(many, data=study_data(many, math.log(2)))), dark=dark)
    page.choose("#y", "learning_rate")
    page.choose("#x", "momentum")
    colours = page.get(
        "[...document.querySelectorAll('.cell:not(.lost)')].map((each) => getComputedStyle(each))"
        ".map((style) => [style.color, style.backgroundColor])"
    )
    assert len({back for _, back in colours}) > 30
    assert min(contrast(*pair) for pair in colours) >= 4.5


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_a_map_of_many_columns_has_cells_for_fingers_beside_its_curves(show, width, dark):
    many = momentum_grid(np.linspace(0.001, 0.37, 45).round(4).tolist(), np.linspace(0, 0.9, 30).round(2), seeds=1)
    page = show(render(**content(many, data=study_data(many, math.log(2)))), width=width, dark=dark)
    assert page.get("document.querySelectorAll('.cell').length") == 45 * 30
    sizes = "[...document.querySelectorAll('.map button')].map((each) => [each.offsetWidth, each.offsetHeight])"
    assert min(min(page.get(sizes))) >= 24
    assert page.get("document.documentElement.scrollWidth") <= width
    page.click(".cell")  # scrolls it to the middle
    assert page.get("document.querySelector('#curves').getBoundingClientRect().top < innerHeight")
    page.get(AXE.read_text() + ";0")
    assert (
        page.get(f"axe.run('#explore', {{resultTypes: ['violations']}}).then(({{violations}}) => {VIOLATIONS})") == []
    )


def contrast(*colours):
    """Of two CSS colours, as WCAG has it."""
    lights = []
    for colour in colours:
        values = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(lights) / min(lights)


def test_every_tick_of_a_cards_curves_has_a_text_of_its_own(show):
    page = show()
    page.click("#runs-table tbody button")
    paths = "svg.querySelectorAll('[data-mark=\"y-axis tick\"] path')"
    texts = "svg.querySelectorAll('[data-mark=\"y-axis tick label\"] text')"
    told = page.get(
        "[...document.querySelectorAll('#card svg')].map("
        f"(svg) => [{paths}.length, [...{texts}].map((one) => one.textContent)])"
    )
    assert len(told) == 9
    for ticks, texts in told:
        assert len(set(texts)) == ticks >= 2


def test_who_removes_a_curve_with_the_keyboard_stays_where_they_were(show):
    page = show()
    page.get("document.querySelectorAll('.legend-table [aria-label^=Remove]')[1].focus()")
    count = len(legend(page))
    page.press("Enter")
    assert len(legend(page)) == count - 1
    assert page.get("document.activeElement.closest('.legend-table') !== null")


@pytest.mark.parametrize("view", ["line", "parallel"])
def test_other_pictures_show_every_configuration_and_have_a_table_behind_them(show, view):
    page = show()
    page.click(f'#views [value="{view}"]')
    page.get("document.querySelector('#overview .behind').open = true")
    page.until("document.querySelector('#overview .behind table')")
    assert (
        page.get("document.querySelectorAll('#overview .behind tbody tr').length") == {"line": 7, "parallel": 6}[view]
    )
    assert page.get("document.querySelectorAll('#overview svg').length") == 1
    page.click("#unpin")
    page.until("document.querySelector('#overview .behind table')")  # it stays open
    page.click("#overview .behind tbody tr:nth-child(2) button")
    page.hover("h1")
    assert len(legend(page)) == 1


def test_everything_is_done_with_the_keyboard_alone(show):
    page = show()
    page.press("Tab")
    assert page.get("document.activeElement.className") == "skip"
    for _ in range(60):
        page.press("Tab")
        if page.get("document.activeElement.className") == "cell":
            break
    before = page.get("document.activeElement.getAttribute('aria-pressed')")
    page.press("ArrowRight")
    page.press("ArrowDown")
    label = page.get("document.activeElement.ariaLabel")
    assert "learning rate 0.01, momentum 0.9" in label
    page.press("Enter")
    assert page.get("document.activeElement.ariaLabel") == label
    assert before in ("true", "false")
    assert page.get("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_claims_open_to_why_and_lead_to_their_figures(show, figures):
    page = show(render(**content([*runs(), *everything(3)], figures=figures)))
    verdicts = page.get("[...document.querySelectorAll('.claim')].map((each) => each.dataset.verdict)")
    assert verdicts == sorted(verdicts, key=["supported", "contradicted", "undecided"].index)
    linked = page.get("document.querySelector('.claim a[href^=\"#fig\"]').closest('.claim').id")
    page.click(f"#{linked} summary")
    assert page.get(f"document.querySelector('#{linked}').open")
    page.click(f"#{linked} a")
    page.until("document.querySelector('.chapter').open")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1440, True)])
def test_axe_finds_nothing(show, figures, width, dark):
    histories = [*GRID, *everything(3)]
    files = ["f"] * len(histories)
    data = study_data(histories, math.log(2), files=files)
    page = show(render(**content(histories, figures=figures[:2], notes=["a note"], data=data)), width=width, dark=dark)
    page.get(AXE.read_text() + ";0")

    def violations():
        return page.get(f"axe.run({{resultTypes: ['violations']}}).then(({{violations}}) => {VIOLATIONS})")

    for view in ("map", "line", "parallel"):
        page.click(f'#views [value="{view}"]')
        page.get("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.until("document.querySelector('#curves .behind table')")
        assert violations() == []
    page.click("#runs-table tbody button")
    assert violations() == []


def test_hostile_text_does_nothing_in_a_browser(show):
    long, right_to_left = "x" * 10_000, "\u05e9\u05dc\u05d5\u05dd \u202eabc"
    bad = [
        run(name, seed=0, learning_rate=0.1, **{HOSTILE: 1.0})
        for name in (HOSTILE, "=cmd|' /C calc'!A0", long, right_to_left)
    ]
    data = study_data(bad, math.inf, files=[HOSTILE] * 4, again=HOSTILE)
    page = show(
        render(
            **content(bad, title=HOSTILE, notes=[HOSTILE], origins=[Origin(HOSTILE, {HOSTILE: HOSTILE}, {})], data=data)
        ),
        width=390,
    )
    assert page.get("document.title") == page.get("document.querySelector('h1').textContent") == HOSTILE
    assert page.get("document.querySelectorAll('img').length") == 0
    assert page.get("document.documentElement.scrollWidth") <= 390
    page.click("#runs-table tbody button")
    assert HOSTILE in page.get("document.querySelector('#card').textContent")
    page.press("Escape")
    page.get("[...document.querySelectorAll('#runs-table tbody button')].at(-1).click()")
    assert page.get("document.querySelector('#card-title').textContent") == f"\u2068{right_to_left}\u2069, seed 0"


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1440, False)])
def test_the_page_of_several_problems_is_whole_and_open_to_everyone(show, tmp_path, width, dark):
    problems = {name: [*runs()[:6], *momentum_grid(seeds=2)] for name in ("digits", HOSTILE)}
    page = show(over_problems(problems).report(tmp_path / "over", title=HOSTILE).read_text(), width=width, dark=dark)
    assert page.get("document.querySelector('h1').textContent") == HOSTILE
    page.get("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.get("document.documentElement.scrollWidth") <= width
    assert page.get("[...document.images].map((image) => image.naturalWidth > 100)") == [True, True]
    page.get(AXE.read_text() + ";0")
    assert page.get(f"axe.run({{resultTypes: ['violations']}}).then(({{violations}}) => {VIOLATIONS})") == []


def test_a_page_without_runs_opens(show):
    page = show(render(**content()))
    assert page.get("document.querySelector('#explore').hidden")
    assert "There are no runs" in page.get("document.body.innerText")


def test_the_best_of_each_optimizer_stand_in_a_picture_with_the_intervals_of_the_table(show):
    page = show(render(**content(runs(), data=study_data(runs(), math.log(2)))))
    best = page.get("JSON.parse(document.querySelector('#study').textContent).best")
    assert [one["rule"] for one in best] == ["SGD"]  # Adam diverged, so that it has none
    assert page.get("document.querySelectorAll('#best-picture svg').length") == 0  # of one there is nothing to compare
    both = [*runs(), *(run("adam", seed=s, learning_rate=0.01, b1=0.9, b2=0.999, eps=1e-7, low=0.4) for s in range(3))]
    page = show(render(**content(both, data=study_data(both, math.log(2)))))
    rows = page.get("[...document.querySelectorAll('.cards tbody tr')].map((row) => row.innerText)")
    best = page.get("JSON.parse(document.querySelector('#study').textContent).best")
    assert [one["rule"] for one in best] == ["SGD", "Adam"]
    for one, row in zip(best, rows, strict=True):
        assert f"{one['value']:.4f}" in row
        assert f"{one['low']:.4f} to {one['high']:.4f}" in row
    assert page.get("document.querySelectorAll('#best-picture svg circle').length") == 2


def test_what_is_printed_is_whole_and_what_was_opened_for_it_is_shut_again(show, figures):
    page = show(render(**content([*runs(), *everything(3)], figures=figures)))
    opened = "document.querySelectorAll('#claims details[open], #figures details[open], .part[open]').length"
    page.get("dispatchEvent(new Event('beforeprint'))")
    assert page.get(f"{opened} === document.querySelectorAll('#claims details, #figures details, .part').length")
    page.call("Emulation.setEmulatedMedia", media="print")
    page.call("Emulation.setDeviceMetricsOverride", width=680, height=960, deviceScaleFactor=1, mobile=False)
    wide = "[...document.querySelectorAll('main table, main svg, main img, main p')].filter((one) => one.offsetParent"
    assert (
        page.get(f"{wide} && one.getBoundingClientRect().right > 681).map((one) => one.outerHTML.slice(0, 80))") == []
    )
    breaks = "[...document.querySelectorAll('.cell b')].map((one) => one.getClientRects().length)"
    assert set(page.get(breaks)) == {1}
    page.get("dispatchEvent(new Event('afterprint'))")
    assert page.get(opened) == 0
