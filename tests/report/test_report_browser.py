"""The report in a browser, which is skipped where there is none."""

import html
import json
import re
import shutil
import subprocess

import pytest
from plot_runs import everything
from report_content import HOSTILE, content, runs

from experiments.command import experiment as catalogue
from jaxopt_study.plots.picture import save_pictures
from jaxopt_study.report.facts import Origin
from jaxopt_study.report.page import render

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return save_pictures(catalogue.pictures("momentum_grid", everything(1)), tmp_path_factory.mktemp("figures"))


# In the browser: the page sits in a frame of the width wanted, and a script around it uses it as a person would.
DRIVER = """
<!doctype html><iframe id="frame" style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const page = event.target.contentDocument, found = {{}};
  const shown = (id) => [...page.querySelectorAll(`#${{id}} tbody tr`)].filter((row) => row.offsetParent !== null);
  const use = (selector, value) => {{
    const field = page.querySelector(selector);
    field.value = value;
    field.dispatchEvent(new Event("input", {{ bubbles: true }}));
  }};
  try {{ {steps} }} catch (error) {{ found.error = String(error); }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>
"""


@pytest.fixture
def browse(tmp_path):
    """``browse(page, steps, width)``: what the steps, JavaScript, put into ``found``."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")

    def run_steps(page, steps, width=1200):
        path = tmp_path / "driver.html"
        path.write_text(DRIVER.format(width=width, page=html.escape(page), steps=steps))
        command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
        assert "error" not in found, found
        return found

    return run_steps


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_never_scrolls_sideways(browse, figures, width):
    made = render(**content([*runs(), *everything(1)], figures=figures, notes=["a" * 200]))
    found = browse(
        made,
        """found.inner = page.defaultView.innerWidth;
        found.wide = [page.documentElement, page.body].map((each) => each.scrollWidth);
        found.images = [...page.images].map((image) => image.naturalWidth > 100);""",
        width,
    )
    assert found["inner"] == width
    assert max(found["wide"]) <= width
    assert len(found["images"]) == 8
    assert all(found["images"])


def test_runs_sort_by_number_both_ways_with_empty_cells_last_by_the_keyboards_button(browse):
    found = browse(
        render(**content(runs())),
        """const heads = [...page.querySelectorAll("#runs-table thead th")];
        const at = heads.findIndex((head) => head.textContent === "beta 1");
        const epochs = heads.findIndex((head) => head.textContent === "epochs");
        const column = (at) => shown("runs-table").map((row) => row.cells[at].textContent);
        const button = (at) => heads[at].querySelector("button");
        found.before = heads.some((head) => head.hasAttribute("aria-sort"));
        button(epochs).focus();
        found.focus = page.activeElement === button(epochs);
        button(epochs).click();
        found.up = column(epochs); found.said = heads[epochs].getAttribute("aria-sort");
        button(epochs).click();
        found.down = column(epochs); found.then = heads[epochs].getAttribute("aria-sort");
        button(at).click(); found.emptyUp = column(at);
        button(at).click(); found.emptyDown = column(at);
        found.others = heads.filter((head) => head.hasAttribute("aria-sort")).length;""",
    )
    epochs = ["3"] + ["6"] * 4 + ["12"] * 2
    assert (found["up"], found["said"]) == (epochs, "ascending")
    assert (found["down"], found["then"]) == (epochs[::-1], "descending")
    assert found["emptyUp"] == found["emptyDown"] == ["0.9"] + [""] * 6
    assert found["focus"]
    assert not found["before"]
    assert found["others"] == 1


def test_runs_are_found_by_words_and_by_status_and_counted(browse):
    found = browse(
        render(**content(runs())),
        """const count = page.querySelector("[data-count=runs-table]");
        const counted = () => [shown("runs-table").length, count.textContent];
        found.all = counted();
        use("[data-find=runs-table]", "SGD 0.01"); found.words = counted();
        use("[data-find=runs-table]", "nothing like it"); found.none = counted();
        use("[data-find=runs-table]", ""); use("[data-choose=runs-table]", "diverged"); found.status = counted();
        use("[data-choose=runs-table]", ""); found.again = counted();""",
    )
    assert found["all"] == found["again"] == [7, "7 of 7 runs"]
    assert found["words"] == [2, "2 of 7 runs"]
    assert found["none"] == [0, "0 of 7 runs"]
    assert found["status"] == [1, "1 of 7 runs"]


@pytest.mark.parametrize("width", [390, 1280])
def test_claims_are_filtered_by_verdict(browse, width):
    found = browse(
        render(**content(everything(1))),
        """use("[data-choose=claims-table]", "supported"); found.supported = shown("claims-table").length;
        use("[data-choose=claims-table]", "undecided"); found.undecided = shown("claims-table").length;
        found.marked = page.querySelectorAll("tr[data-verdict=undecided]").length;""",
        width,
    )
    assert found["undecided"] == found["marked"] > 0
    assert found["supported"] < 43


def test_hostile_text_does_nothing_in_a_browser(browse):
    origins = [Origin(HOSTILE, {HOSTILE: HOSTILE}, {})]
    found = browse(
        render(**content(runs(), title=HOSTILE, notes=[HOSTILE], origins=origins)),
        """found.title = page.title; found.images = page.images.length;
        found.heading = page.querySelector("h1").textContent;""",
    )
    assert found["title"] == found["heading"] == HOSTILE
    assert found["images"] == 0


def test_everything_that_acts_can_be_reached_and_has_a_name(browse, figures):
    found = browse(
        render(**content(runs(), figures=figures, notes=["a note"])),
        """for (const each of page.querySelectorAll("details")) each.open = true;
        const acting = [...page.querySelectorAll("a, button, input, select, summary, [tabindex='0']")];
        const name = (each) => each.getAttribute("aria-label") || each.labels?.[0]?.textContent || each.textContent;
        found.count = acting.length;
        found.unnamed = acting.filter((each) => !name(each).trim()).map((each) => each.outerHTML);
        const reached = (each) => { each.focus(); return page.activeElement === each; };
        found.unreachable = acting.filter((each) => !reached(each)).map((each) => each.outerHTML);
        const scrolls = (each) => ["auto", "scroll"].includes(page.defaultView.getComputedStyle(each).overflowX);
        const cut = (each) => each.scrollWidth > each.clientWidth + 1;
        const scrolling = [...page.querySelectorAll("*")].filter((each) => cut(each) && scrolls(each));
        found.trapped = scrolling.filter((each) => each.tabIndex < 0).map((each) => each.outerHTML);""",
        390,
    )
    assert found["count"] > 20
    assert found["unnamed"] == found["unreachable"] == found["trapped"] == []


CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d");
const channels = (colour) => {
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const weight = [0.2126, 0.7152, 0.0722];
const light = (colour) => channels(colour).reduce((sum, c, i) => sum + linear(c / 255) * weight[i], 0);
const style = (each) => page.defaultView.getComputedStyle(each);
const behind = (each) => {
  while (each && style(each).backgroundColor === "rgba(0, 0, 0, 0)") each = each.parentElement;
  return each ? style(each).backgroundColor : "#ffffff";
};
const ratio = (each) => {
  const [a, b] = [light(style(each).color), light(behind(each))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const written = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
const texts = [...page.body.querySelectorAll("*")].filter((each) => each.offsetParent && written(each));
found.page = light(behind(page.body));
found.count = texts.length;
found.faint = [...new Set(texts.filter((each) => ratio(each) < 4.5).map((each) => each.className || each.tagName))];
"""


@pytest.mark.parametrize(("scheme", "is_dark"), [(0, True), (1, False)])
def test_text_stands_out_in_light_and_in_dark(browse, monkeypatch, scheme, is_dark):
    monkeypatch.setitem(globals(), "FLAGS", (*FLAGS, f"--blink-settings=preferredColorScheme={scheme}"))
    found = browse(render(**content(runs(), notes=["a note"])), CONTRAST)
    assert (found["page"] < 0.1) == is_dark
    assert found["count"] > 100
    assert found["faint"] == []
