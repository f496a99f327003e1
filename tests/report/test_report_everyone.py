"""The page in a browser, for phones, keyboards, screen readers, printers and odd names; skipped where there is none."""

import math

import numpy as np
import pytest
from browser import installed
from plot_runs import everything, momentum_grid, run
from report_content import HOSTILE, content, runs
from report_pages import AXE, GRID, VIOLATIONS, contrast, legend

from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import Origin
from jaxopt_study.report.page import render
from jaxopt_study.report.problems import over_problems

WIDTHS = [390, 768, 1440]
pytestmark = pytest.mark.skipif(not installed(), reason="no Chromium is installed (Debian: apt-get install chromium)")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways_whatever_is_open(show, figures, width):
    page = show(render(**content([*runs(), *everything(1)], figures=figures, notes=["a" * 200])), width=width)
    page.get("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.get("document.documentElement.scrollWidth") <= width
    sizes = "(image) => { image.loading = 'eager'; return image.decode().then(() => image.naturalWidth); }"
    assert min(page.get(f"Promise.all([...document.images].map({sizes}))")) > 100
    assert page.get("document.images.length") == len(figures)


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


def test_a_word_of_statistics_leads_to_what_it_means_with_the_keyboard_too(show):
    page = show(render(**content(everything(3))), width=390)
    text = page.get("document.querySelector('main').innerText")
    assert "goodput" not in text
    assert "one of nothing" not in text
    page.get("document.querySelector('.cards a[href=\"#words\"]').focus()")
    page.press("Enter")
    page.until("document.querySelector('#words').open")
    told = page.get("[...document.querySelectorAll('#words dt')].map((one) => one.innerText)")
    assert {"moderated t", "Student's t", "halves of the seeds", "worse than guessing", "p and q"} <= set(told)


def test_claims_open_to_why_and_lead_to_their_figures(show, figures):
    page = show(render(**content([*runs(), *everything(3)], figures=figures)))
    verdicts = page.get("[...document.querySelectorAll('.claim')].map((each) => each.dataset.verdict)")
    assert verdicts == sorted(verdicts, key=["supported", "contradicted", "undecided"].index)
    linked = page.get("document.querySelector('.claim a[href^=\"#fig\"]').closest('.claim').id")
    page.click(f"#{linked} summary")
    assert page.get(f"document.querySelector('#{linked}').open")
    page.click(f'#{linked} a[href^="#fig"]')
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
    title = page.get("document.querySelector('#card-title').textContent")
    assert title.startswith(f"\u2068{right_to_left}\u2069, learning rate 0.1, ")
    assert title.endswith(" 1, seed 0")


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
