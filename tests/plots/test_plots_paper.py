import itertools
import re

import pytest
from matplotlib.text import Text
from plot_runs import everything, momentum_grid

from experiments.command import experiment
from jaxopt_study.errors import InputError
from jaxopt_study.files import write_text
from jaxopt_study.plots import heatmaps, paper
from jaxopt_study.plots.general import general
from jaxopt_study.plots.paper import Paper, fit, paper_of
from jaxopt_study.report.paper import write
from jaxopt_study.storage import made

MANY = [0.001 * 1.3**k for k in range(16)]


def drawn_texts(figure):
    """The texts that are drawn, with their boxes in pixels; of numbers at axes those within the panel's limits."""
    for axis in [axis for axes in figure.axes if axes.get_visible() for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        for label in axis.get_ticklabels(which="both"):
            place = label.get_position()[axis.axis_name == "y"]
            if label.get_visible() and label.get_text() and low <= place <= high:
                yield label, label.get_window_extent()
    others = [
        *figure.texts,
        *(text for axes in figure.axes for text in (*axes.texts, axes.xaxis.label, axes.yaxis.label)),
    ]
    others += [text for legend in figure.legends for text in legend.findobj(Text)]
    others += [child for axes in figure.axes for child in axes.get_children() if isinstance(child, Text)]
    for text in dict.fromkeys(others):
        if text.get_visible() and text.get_text().strip():
            yield text, text.get_window_extent()


def test_a_pdf_is_as_wide_as_its_column_with_embedded_fonts_and_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        drawn = [one for one in general(momentum_grid(seeds=1)) if "by_" not in one.name]
        written = write(drawn, tmp_path / folder, Paper())
    widths = list[float]()
    for path in written:
        content = path.read_bytes()
        assert content == (tmp_path / "one" / "paper" / path.name).read_bytes()
        left, bottom, right, _ = map(float, re.search(rb"/MediaBox \[ ([\d. ]+) \]", content)[1].split())
        assert (left, bottom) == (0, 0)
        widths.append(right)
        fonts = re.findall(rb"/FontFile\d?", content)
        assert fonts
        assert set(fonts) == {b"/FontFile2"}
        assert b"/Type3" not in content
        assert b"CreationDate" not in content
    assert widths == pytest.approx([3.35 * 72, 6.9 * 72, 3.35 * 72])  # one panel, three, one


@pytest.mark.parametrize("chapter", ["compare", "nesterov_grid", "nesterov_gain", "lr_range_test"])
def test_texts_of_the_articles_figures_are_of_7_to_9_points_within_the_page_and_apart(chapter):
    runs = [one for one in everything(2) if chapter != "lr_range_test" or one.optimizer in ("sgd", "nesterov", "adam")]
    for picture in experiment.pictures(chapter, runs):
        fit(picture.figure, Paper())
        assert picture.figure.get_figwidth() in Paper()
        picture.figure.draw_without_rendering()
        width, height = picture.figure.get_size_inches()
        box = picture.figure.get_tightbbox()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.01, picture.name
        texts = list(drawn_texts(picture.figure))
        assert all(7 <= text.get_fontsize() <= 9 for text, _ in texts)
        for (one, first), (other, second) in itertools.combinations(texts, 2):
            across = min(first.x1, second.x1) - max(first.x0, second.x0)
            down = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert min(across, down) < 1.5, (picture.name, one, other)


def test_numbers_below_a_panel_do_not_stand_in_each_other():
    (picture,) = [
        one for one in general(momentum_grid(momenta=(0, 0.5, 0.95, 0.99))) if one.name.endswith("by_momentum")
    ]
    fit(picture.figure, Paper())
    texts = [(label, label.get_window_extent()) for label in picture.figure.axes[0].get_xticklabels()]
    boxes = [box for label, box in texts if label.get_visible()]
    assert [label.get_text() for label, _ in texts if label.get_visible()] == ["0", "0.5", "0.95"]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


@pytest.mark.parametrize(("momenta", "stars", "ranges"), [((0, 0.9), 6, 6), ((0, 0.5, 0.9, 0.95, 0.99), 0, 0)])
def test_cells_keep_what_has_room(momenta, stars, ranges):
    figure = heatmaps.heat_map(momentum_grid(momenta=momenta), x="momentum", y="learning_rate")
    fit(figure, Paper())
    panel = figure.axes[0]
    texts = [text.get_text() for text in panel.texts if text.get_visible()]
    assert sum("\N{BLACK STAR}" in text for text in texts) == stars
    assert sum("\N{EN DASH}" in text for text in texts) == ranges
    assert sum(text.startswith("0.3") or text.startswith("0.4") for text in texts) >= 3 * len(momenta)


def test_panels_of_a_wide_table_are_one_below_the_other():
    figure = heatmaps.heat_map(momentum_grid(rates=MANY, seeds=1), x="learning_rate", y="momentum")
    fit(figure, Paper())
    upper, lower, _ = (axes.get_position() for axes in figure.axes)
    assert upper.x0 == pytest.approx(lower.x0)
    assert upper.y0 > lower.y1


def test_figures_tex_has_all_figures_in_their_order_with_captions(tmp_path):
    with made.into(tmp_path) as building:
        write_text(building / "paper" / "fig99_gone.pdf", "of earlier runs")
    (tmp_path / "paper" / "thesis.pdf").write_text("mine")
    drawn = list(experiment.pictures("momentum_grid", everything(1)))[:3]
    pictures = [one._replace(caption="50% of a_b & more") for one in drawn]
    written = write(pictures, tmp_path, Paper(2.5, 5.5))
    thesis = tmp_path / "paper" / "thesis.pdf"
    assert sorted(tmp_path.glob("paper/*.pdf")) == sorted([*written, thesis])
    text = (tmp_path / "paper" / "figures.tex").read_text()
    assert re.findall(r"includegraphics\{(.+?)\.pdf\}", text) == [one.name for one in pictures]
    assert text.count(r"\caption{50\% of a\_b \& more}") == len(pictures)
    assert r"\begin{figure*}" in text
    assert text.count(r"\begin{figure}") == text.count(r"\end{figure}") > 0
    assert {one.figure.get_figwidth() for one in pictures} == {2.5, 5.5}


@pytest.mark.parametrize("widths", [["3"], ["a", "b"], ["7", "3"], ["1", "6"], ["3", "nan"], ["3", "30"], []])
def test_widths_that_are_no_papers_are_refused(widths):
    with pytest.raises(InputError, match="paper_widths"):
        paper_of(widths)
    assert paper_of(["3.35", 6.9]) == paper.Paper()
