import base64
import dataclasses
import hashlib
import html
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plot_runs import everything, run
from report_content import HOSTILE, ORIGIN, content, runs

from experiments.command import experiment as catalogue
from experiments.command.outputs import origins
from experiments.command.results import Results
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.plots.picture import SavedFigure, save_pictures
from jaxopt_study.report import libraries, page, tables, wording
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import Origin
from jaxopt_study.report.libraries import LIBRARIES
from jaxopt_study.report.outcome import write_report
from jaxopt_study.report.page import render


class Page(HTMLParser):
    """Tags with their attributes, in order, and the text under the summary's headings."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def text(page):
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return save_pictures(catalogue.pictures("momentum_grid", everything(1)), tmp_path_factory.mktemp("figures"))


def test_the_summary_says_what_was_run_on_what_and_how_long():
    page = text(render(**content(runs())))
    assert "7 runs with 2 seeds (6 finished, 1 diverged)" in page
    assert "digits: 1438 training and 359 validation examples of 8 x 8 x 1" in page
    assert "2 min 5 s, 9.5 s of it compiling" in page
    assert "12,346 examples x configurations a second, 90% of the epochs computed were of use" in page
    assert "2 x cpu" in page


def test_the_first_screen_says_whether_the_article_holds():
    page = text(render(**content(everything(3))))
    wanted = r"Of the article's \d+ claims: \d+ supported, .* \d+ do not apply to this study"
    assert re.search(wanted, page)
    assert "None of the article's 43 claims applies" in text(render(**content()))


def test_the_lowest_loss_is_told_with_its_interval_and_its_configuration():
    page = text(render(**content(runs())))
    assert re.search(
        r"SGD gets to a validation loss of 0\.2\d+ \([\d.]+ to [\d.]+, 95% interval, 2 seeds\) at learning rate 0.001",
        page,
    )
    assert page.index("SGD gets to") < page.index("Adam ")


@pytest.mark.parametrize("accuracy", [0.75, math.nan])
def test_a_part_held_back_is_told_of_one_seed_and_of_numbers_to_predict_too(accuracy):
    one = run("sgd", learning_rate=0.1)
    tested = {"test_loss": one.curves["val_loss"] + 0.1, "test_accuracy": np.full(one.epochs, accuracy)}
    one = dataclasses.replace(one, curves={**one.curves, **tested})
    page = text(render(**content([one], best_runs=tables.best_configurations([one]), reference=None)))
    assert wording.loss(float(tested["test_loss"].min())) in page
    assert ("75.0% right" in page) == (accuracy == 0.75)


def test_our_best_runs_stand_beside_the_articles():
    page = text(render(**content(runs())))
    assert "0.1899" in page
    assert "Not run here: Momentum, Nesterov, RMSprop" in page
    assert ", ours" in page


def test_every_claim_has_its_verdict_in_words():
    shown = render(**content(runs()))
    rows = [row for row in Page(shown).all("details") if row.get("id", "").startswith("claim-")]
    silent = re.search(r"(\d+) of 43 claims do not apply to this study.*?: ([A-Z0-9, ]+)\.", text(shown))
    assert len(rows) + int(silent[1]) == 43
    assert len(silent[2].split(", ")) == int(silent[1])
    verdicts = [row["data-verdict"] for row in rows]
    assert verdicts == sorted(verdicts, key=["supported", "contradicted", "undecided"].index)


def test_of_other_data_nothing_of_the_articles_is_set_beside_it():
    page = text(render(**content(runs(), article_data=False)))
    assert "0.1899" not in page
    assert ", ours" not in page
    assert "43 of 43 claims do not apply to this study (42 other data, 1 grid does not cover it)" in page
    assert "None of the article's 43 claims applies" in page


def test_figures_stand_in_the_articles_order_with_alternative_text(figures):
    page = Page(render(**content(runs(), figures=figures[::-1])))
    numbers = [int(figure["id"][3:5]) for figure in page.all("figure")]
    assert numbers == sorted(numbers) == [9, 11, 12, 13, 14, 15, 16, 17]
    assert all(len(image["alt"]) > 40 for image in page.all("img"))


def test_claims_link_to_their_figures_that_are_there(figures):
    page = Page(render(**content(everything(3), figures=figures)))
    names = {figure["id"] for figure in page.all("figure")}
    links = [
        link["href"][1:] for link in page.all("a") if link["href"].startswith("#fig") and link["href"] != "#figures"
    ]
    assert links
    assert set(links) <= names


def test_every_link_within_the_page_has_its_target(figures):
    page = Page(render(**content(runs(), figures=figures)))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a")} <= {f"#{one}" for one in ids}


def test_nothing_comes_from_outside(figures):
    made = Page(render(**content(runs(), figures=figures)))
    addresses = [a[k] for _, a in made.tags for k in ("src", "href", "srcset", "action", "poster", "data") if k in a]
    assert addresses
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not made.all("link")
    assert "default-src 'none'" in made.all("meta")[1]["content"]
    templates = Path(libraries.__file__).parent / "templates"
    assert not any(
        re.search(r"@import|url\(|https?:", (templates / each).read_text()) for each in ("page.css", *page.SCRIPTS)
    )


@pytest.mark.parametrize("place", ["title", "notes", "origins", "data", "best_runs", "reference", "figures"])
def test_hostile_text_is_escaped_wherever_it_comes_from(place, tmp_path):
    picture = tmp_path / "picture"
    Image.new("RGB", (2, 2)).save(picture, "PNG")
    given = content(runs())
    reference = given["reference"]
    claims = reference.claims
    hostile = {
        "title": HOSTILE,
        "notes": [HOSTILE],
        "origins": [Origin(HOSTILE, {HOSTILE: HOSTILE, "dataset": {"name": HOSTILE}}, {}), ORIGIN],
        "data": study_data([run(HOSTILE, **{HOSTILE: 0.1})], math.inf, files=[HOSTILE], again=HOSTILE),
        "best_runs": given["best_runs"]._replace(rows=[(HOSTILE, *row[1:]) for row in given["best_runs"].rows]),
        "reference": reference._replace(claims=claims._replace(rows=[(HOSTILE,) * 2 + row[2:] for row in claims.rows])),
        "figures": [SavedFigure(HOSTILE, picture, picture, HOSTILE, HOSTILE)],
    }[place]
    made = render(**{**given, place: hostile})
    page = Page(made)
    assert len(page.all("script")) == 4  # data, two libraries and the page's own
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert "{{ 7*7 }}" in made


def test_a_study_without_runs_figures_or_claims_is_still_a_page():
    none = content()["reference"]._replace(claims=tables.Table(("id", "verdict"), []))
    page = render(**content(reference=none, origins=[Origin("a", {}, {})]))
    for sentence in ("No claims were judged", "There are no figures", "There are no runs"):
        assert sentence in page


def test_several_work_directories_are_told_apart():
    other = ORIGIN._replace(name="workdir/b", stats={"seconds": 3.0})
    page = text(render(**content(runs(), origins=[ORIGIN, other])))
    assert "workdir/a: 2 min 5 s, 9.5 s of it compiling; workdir/b: 3 s" in page
    assert page.count("digits: 1438 training") == 1


def test_work_directories_of_one_name_do_not_hide_each_other():
    made = [(Path(parent, "w"), {}, {"seconds": seconds}) for parent, seconds in (("a", 3.0), ("b", 5.0))]
    page = text(render(**content(runs(), origins=origins(Results(made, [], 0, {})))))
    assert "Time a/w: 3 s; b/w: 5 s" in page
    same = [ORIGIN._replace(stats={"seconds": seconds}) for seconds in (3.0, 5.0)]
    assert "Time workdir/a: 3 s; workdir/a: 5 s" in text(render(**content(runs(), origins=same)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4321, "0.432 s"), (59.4, "59.4 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7260, "2 h 1 min")],
)
def test_durations_are_told_in_two_units(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2e-5, "2e-05"), (0.00012345678, "0.0001235"), (0.001, "0.0010"), (0.52, "0.5200"), (0.0, "0.0000"),
        (-9.94, "-9.9400"), (math.nan, "\N{EN DASH}"), (None, "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_losses_have_four_decimals_or_four_digits_where_these_would_say_nothing(value, text):
    assert wording.loss(value) == text
    assert wording.interval(value, 0.25) == ("" if value is None or math.isnan(value) else f"{text} to 0.2500")


def test_settings_are_flattened_and_long_lists_counted():
    nested = {"a": {"b": 1, "c": None}, "few": [8, 8], "many": list(range(99)), "maps": [{"x": 1}], "real": 0.1 + 0.2}
    assert dict(wording.flat(nested)) == {
        "a.b": "1", "a.c": "none", "few": "8, 8", "many": "99 entries", "maps": "1 entry", "real": "0.3",
    }  # fmt: skip


def test_figures_are_small_in_the_page_and_whole_pictures(figures, tmp_path):
    found = [base64.b64decode(page.address(one).removeprefix("data:image/png;base64,")) for one in figures]
    sizes = [
        (Image.open(io.BytesIO(content)).size, Image.open(one.png).size)
        for content, one in zip(found, figures, strict=True)
    ]
    assert all(ours == theirs for ours, theirs in sizes)
    assert sum(map(len, found)) < 0.5 * sum(one.png.stat().st_size for one in figures)
    gone = figures[0]._replace(png=tmp_path / "gone.png")
    with pytest.raises(EnvironmentFault, match=r"gone\.png cannot be read"):
        render(**content(runs(), figures=[gone]))


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda one: one.file)
def test_libraries_are_as_they_were_released_with_their_licence(library):
    folder = Path(libraries.__file__).parent / "vendor"
    assert hashlib.sha256((folder / library.file).read_bytes()).hexdigest() == library.sha256
    assert "Permission to use, copy, modify" in (folder / f"{library.file.split('.')[0]}.LICENSE").read_text()
    assert "</script" not in library.source


def test_the_policy_names_every_script_and_style_and_nothing_else_may_run():
    page = Page(render(**content(runs())))
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert len(rules["script-src"].split()) == 3
    assert len(rules["style-src"].split()) == 2
    assert not re.search("unsafe|http|connect", policy)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    path = write_report(runs(), tmp_path, [ORIGIN], [], title="A study")
    assert path.read_text().rstrip().endswith("</html>")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.html", "summary.csv", "tables"]
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with pytest.raises(EnvironmentFault, match="cannot write"):
        write_report(runs(), blocked, [ORIGIN], [], title="A study")
