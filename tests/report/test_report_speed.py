"""How long a page takes to open and to answer, in headless Chromium; of made studies and of pages in REPORTS.

    pytest -m benchmark -s tests/report/test_report_speed.py
    REPORTS=a/report.html:b/report.html pytest -m benchmark -s tests/report/test_report_speed.py

Milliseconds since the navigation, lowest and median of seven openings in new tabs of one browser: ``drawn`` is the
first screen (Chromium's first contentful paint), ``ready`` the frame in which all of the page is drawn and answers;
``cell`` is a click on a cell until its curves are drawn, ``filter`` the last key in the filter until all is drawn anew,
120 ms of which it waits for another key.
"""

import math
import os
import statistics
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, installed
from plot_runs import run
from report_content import content

from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render

pytestmark = [pytest.mark.benchmark, pytest.mark.skipif(not installed(), reason="no Chromium is installed")]

OPENINGS = 7
WATCH = """
new MutationObserver((_, observer) => {
  if (document.documentElement?.dataset.ready !== "yes") return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.readyAt = performance.now(); }));
}).observe(document, {attributes: true, subtree: true, attributeFilter: ["data-ready"]});
"""
"""Runs before the page's own script; a timeout set in a frame comes after that is drawn."""
TIMED = """(async () => {
  const begun = performance.now();
  %s;
  return new Promise((wake) => requestAnimationFrame(() => setTimeout(() => wake(performance.now() - begun))));
})()"""


def made(rates, momenta, seeds, epochs=50):
    """A grid of momentum with noisy curves, which do not pack as well as smooth ones."""
    random = np.random.default_rng(0)
    histories = [
        run(seed=seed, learning_rate=float(rate), momentum=float(momentum), low=0.3 + float(rate), epochs=epochs)
        for rate in np.geomspace(1e-4, 0.3, rates).astype(np.float32)
        for momentum in np.linspace(0, 0.99, momenta).astype(np.float32)
        for seed in range(seeds)
    ]
    for history in histories:
        for curve in history.curves.values():
            curve *= 1 + 0.03 * random.standard_normal(len(curve)).astype(np.float32)
    return histories


def drawn(points, seeds, epochs=20):
    """Points that have hardly a number in common, as ``samples=`` draws them."""
    random = np.random.default_rng(0)
    numbers = zip(10 ** random.uniform(-4, 0, points), *random.uniform(size=(2, points)), strict=True)
    return [
        run(
            "adam",
            seed=seed,
            learning_rate=rate,
            b1=b1,
            b2=b2,
            low=0.25 + 0.02 * abs(math.log(30 * rate)),
            epochs=epochs,
        )
        for rate, b1, b2 in numbers
        for seed in range(seeds)
    ]


def milliseconds(values):
    return f"{min(values):6.0f} {statistics.median(values):6.0f}"


def opening(browser, url):
    """Milliseconds until the first screen and until all is drawn."""
    page = browser.open(url, before=WATCH)
    page.until("window.readyAt")
    first = page.get("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    ready = page.get("window.readyAt")
    page.close()
    return first, ready


def answers(browser, url):
    """Milliseconds of clicks on cells, and of words typed into the filter."""
    page = browser.open(url)
    clicks, filters = [], []
    for at in range(OPENINGS):
        click = f"document.querySelectorAll('.cell:not(.lost)')[{at}].click()"
        clicks.append(page.get(TIMED % click))
        write = f"const find = document.querySelector('#find'); find.value = 'seed={at % 2}';"
        wait = "await new Promise((wake) => setTimeout(wake, 121))"  # the page waits 120 for the next key
        filters.append(page.get(TIMED % f"{write} find.dispatchEvent(new Event('input')); {wait}"))
    page.close()
    return clicks, filters


def test_pages_open_quickly(tmp_path):
    pages = {}
    for histories in (made(5, 5, 2), made(41, 3, 3), made(41, 41, 3), drawn(1700, 3)):
        path = tmp_path / f"{len(histories)}.html"
        path.write_text(render(**content(histories, data=study_data(histories, math.log(2)))))
        pages[f"{len(histories)} runs, made"] = path
    pages |= {path: Path(path).absolute() for path in os.environ.get("REPORTS", "").split(":") if path}
    with Browser(tmp_path / "profile") as browser:
        for name, path in pages.items():
            url = f"file://{path}"
            first, ready = zip(*(opening(browser, url) for _ in range(OPENINGS)), strict=True)
            clicks, filters = answers(browser, url)
            told = (("drawn", first), ("ready", ready), ("cell", clicks), ("filter", filters))
            times = ", ".join(f"{what} {milliseconds(of)}" for what, of in told)
            print(f"\n{name}: {path.stat().st_size / 1e6:.2f} MB; {times}", flush=True)
