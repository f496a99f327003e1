"""What the page's pictures show is what its words, keys and tables say; skipped where there is no browser."""

import dataclasses
import itertools
import math
import re

import pytest
from browser import installed
from plot_runs import momentum_grid, run
from report_content import content
from report_pages import contrast

from jaxopt_study.report import wording
from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render, source

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


def test_an_interval_that_goes_on_beyond_the_axis_has_an_arrowhead_there_and_a_word_below(show):
    wide = [run("adam", seed=seed, learning_rate=0.1, low=low, epochs=20) for seed, low in enumerate((0.1, 0.65))]
    narrow = [run("sgd", seed=seed, learning_rate=0.1, low=0.45, epochs=20) for seed in (0, 1)]
    arrows = '#best-picture [data-mark="dot"] path'
    page = show(page_of([*wide, *narrow]))
    low, high = (
        page.get("JSON.parse(document.querySelector('#study').textContent).best[0].low"),
        page.get("JSON.parse(document.querySelector('#study').textContent).best[0].high"),
    )
    assert low < 0.1
    assert high > 1
    assert page.get(f"document.querySelectorAll('{arrows}').length") == 2
    assert "arrowhead: the interval goes on beyond" in page.get("document.querySelector('#best-picture').innerText")
    page = show(page_of([*narrow, *(run("adam", seed=seed, learning_rate=0.1, epochs=20) for seed in (0, 1))]))
    assert page.get(f"document.querySelectorAll('{arrows}').length") == 0
    assert "arrowhead" not in page.get("document.querySelector('#best-picture').innerText")


def same_in_all_seeds(rule, low, seeds=2):
    """Runs that agree exactly."""
    return [dataclasses.replace(run(rule, learning_rate=0.1, low=low), seed=seed) for seed in range(seeds)]


def test_two_whose_seeds_agree_exactly_have_no_interval(show):
    page = show(page_of([*same_in_all_seeds("sgd", 0.3), *same_in_all_seeds("adam", 0.4)]))
    told = page.get("document.querySelector('#compare').innerText")
    assert "(the same in all seeds: no interval)." in told
    assert "0.00 to 0.00" not in told
    assert "95% interval" not in told
    bands = page.get(
        "[...document.querySelectorAll('#compare [data-mark=\"area\"] path')].map((one) => one.getAttribute('d'))"
    )
    assert not any(bands)


def test_two_of_which_a_run_learned_nothing_have_no_interval(show):
    runs = [run(rule, seed=seed, learning_rate=0.1) for rule in ("sgd", "adam") for seed in range(3)]
    runs[2] = run("sgd", seed=2, learning_rate=0.1, diverged=3)
    told = show(page_of(runs), view="#view?pins=sgd:0.1|adam:0.1").get(
        "document.querySelector('#compare .lead').innerText"
    )
    assert told.endswith("(a run learned nothing: no interval).")


def test_a_map_says_what_the_answer_has_otherwise_only_where_it_differs(show):
    note = "[...document.querySelectorAll('#overview .note')].map((one) => one.innerText).join()"
    assert show(page_of(momentum_grid())).get(note) == ""  # both halves choose the same
    swapped = [
        run("sgd", seed=seed, learning_rate=rate, low=0.3 + 0.1 * (seed == at))
        for at, rate in enumerate((0.1, 0.2))
        for seed in (0, 1)
    ]
    told = show(page_of(swapped)).get(note)
    assert "by seeds that did not choose it: 0." in told
    first, second = re.search(r"it: (0\.\d+) instead of (0\.\d+)\.", told).groups()
    assert first > second


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1440])
def test_lines_through_all_hyperparameters_can_be_seen_and_their_words_read(show, width, dark):
    many = [
        run("adam", learning_rate=rate, b1=b1, initial_accumulator_value=value, low=0.2 + rate + b1 / 10)
        for rate in (0.001234567, 0.1)
        for b1 in (0.5, 0.9)
        for value in (0.1, 0.2)
    ]
    page = show(page_of(many), width=width, dark=dark)
    page.click("#unpin")
    page.click("#views [value=parallel]")
    page.hover("h1")
    colours = page.get(
        "[...document.querySelectorAll('#overview [data-mark=\"line\"] path')].map((one) => getComputedStyle(one))"
        ".map((style) => [style.stroke, style.strokeOpacity])"
    )
    back = page.get("getComputedStyle(document.body).backgroundColor")
    assert len(colours) == 8
    assert min(contrast(colour, back) for colour, _ in colours) >= 3
    assert {opacity for _, opacity in colours} == {"1"}
    boxes = (
        "[...document.querySelectorAll('#overview [data-mark=\"x-axis tick label\"] text')]"
        ".map((one) => one.getBoundingClientRect()).map((r) => [r.left, r.right])"
    )
    titles = page.get(boxes)
    assert len(titles) == 4
    assert all(left + 3 < right for (_, left), (right, _) in itertools.pairwise(titles))
    assert page.get("document.documentElement.scrollWidth") <= width


def test_on_a_phone_no_word_of_a_heading_is_broken_or_hidden(show):
    page = show(page_of(momentum_grid([0.001, 0.00316, 0.01, 0.0316, 0.1])), width=390)
    lines = (
        "[...document.querySelectorAll('.corner span, .legend-table thead th + th')].flatMap((one) => {"
        "const node = one.firstChild; if (!node) return [];"
        "return [...node.textContent.matchAll(/[^ ]+/g)].map((word) => {"
        "const range = document.createRange(); range.setStart(node, word.index);"
        "range.setEnd(node, word.index + word[0].length); const r = range.getBoundingClientRect();"
        "const cell = one.closest('td, th').getBoundingClientRect();"
        "return [word[0], range.getClientRects().length, r.right <= cell.right + 1]; }); })"
    )
    told = page.get(lines)
    assert {"\u2193\u00a0momentum", "\u2192\u00a0learning", "rate", "seed", "runs"} <= {word for word, *_ in told}
    assert [word for word, count, inside in told if count > 1 or not inside] == []


def test_the_script_writes_losses_as_the_texts_of_the_page_do(show):
    losses = [
        0.0,
        2e-5,
        0.00012345678,
        0.0009,
        0.001,
        0.52,
        -9.94,
        10.5,
        123.456,
        9999.0,
        10_000.0,
        319292.765625,
        5e30,
    ]
    words = "(() => {" + source("words.js") + f"; return {losses}.map((value) => show(value, {{loss: true}})); }})()"
    assert show(page_of(momentum_grid())).get(words) == [wording.loss(value) for value in losses]
