"""A browser, and the page in it."""

import math

import pytest
from browser import Browser
from plot_runs import everything
from report_content import content
from report_pages import FILES, GRID

from experiments.command import experiment as catalogue
from jaxopt_study.plots.picture import save_pictures
from jaxopt_study.report.data import study_data
from jaxopt_study.report.page import render


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return save_pictures(catalogue.pictures("momentum_formulations", everything(1)), tmp_path_factory.mktemp("figures"))


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
