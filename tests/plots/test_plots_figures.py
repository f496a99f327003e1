import re
import subprocess
import sys

import pytest
from plot_runs import everything, momentum_grid, run

from experiments.article.figures import EXPERIMENTS, figures_for, save_figures
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.plots.epoch_curves import curves
from jaxopt_study.plots.picture import save

NUMBERS = {
    "sgd_learning_rates": [5, 6, 7],
    "momentum_grid": [9, 11, 12, 13, 14, 15, 16, 17],
    "momentum_formulations": [19, 20],
    "nesterov_grid": [22, 23, 24, 25, 26],
    "rmsprop_grid": [28, 30, 31, 32],
    "adam_learning_rates": [34, 35],
    "adam_betas": [36, 37],
    "adagrad_learning_rates": [39, 40, 41, 42],
    "cyclical_learning_rate": [43, 44],
    "compare": [45, 46, 47, 48, 49],
}


def test_every_figure_of_the_article_has_its_place():
    numbers = {name: [number for number, _ in recipes] for name, recipes in EXPERIMENTS.items()}
    assert {name: of_article for name, of_article in numbers.items() if of_article != [0]} == NUMBERS


@pytest.mark.parametrize("experiment", NUMBERS)
def test_every_figure_is_drawn_in_the_articles_order_with_its_number_and_its_words(experiment):
    notes = []
    pictures = list(figures_for(experiment, everything(), on_absent=notes.append))
    assert notes == []
    assert [int(re.match(r"fig(\d\d)_[a-z]", p.name)[1]) for p in pictures] == NUMBERS[experiment]
    assert all(p.caption.endswith(".") and p.alt_text.endswith(".") for p in pictures)
    assert all(axes.get_xlabel() for p in pictures for axes in p.figure.axes if axes.get_ylabel() != "loss (nats)")


@pytest.mark.parametrize("experiment", NUMBERS)
@pytest.mark.parametrize("runs", [[], [run("sgd", learning_rate=0.02)], [run("sgd", learning_rate=0.02, diverged=1)]])
def test_what_cannot_be_drawn_is_left_out_with_a_sentence(experiment, runs):
    notes = []
    drawn = [int(p.name[3:5]) for p in figures_for(experiment, runs, on_absent=notes.append)]
    left_out = [int(re.match(r"Figure (\d+) is left out: .+\.$", note)[1]) for note in notes]
    assert sorted(drawn + left_out) == NUMBERS[experiment]


def test_a_grid_without_the_articles_rate_is_drawn_at_the_nearest_and_says_so():
    notes = []
    pictures = list(figures_for("momentum_grid", momentum_grid(rates=(0.02,)), on_absent=notes.append))
    assert [p.name for p in pictures][1] == "fig11_loss_by_momentum_lr0.02"
    assert "nearest to the article's 0.01" in pictures[1].caption
    assert [note[:9] for note in notes] == ["Figure 15", "Figure 16"]


def test_one_seed_says_that_there_is_no_band():
    pictures = {p.name[:5]: p for p in figures_for("momentum_grid", momentum_grid(seeds=1))}
    assert "One seed" in pictures["fig11"].caption
    assert "2 seeds" in {p.name[:5]: p for p in figures_for("momentum_grid", momentum_grid())}["fig11"].caption


def test_divergence_is_in_the_words():
    runs = [*momentum_grid(rates=(0.01,)), run(learning_rate=0.01, momentum=0.99, diverged=3)]
    pictures = {p.name[:5]: p for p in figures_for("momentum_grid", runs)}
    assert "1 run of 5 diverged" in pictures["fig11"].caption
    assert "no finite" not in pictures["fig11"].alt_text
    assert "Hatched" in pictures["fig17"].caption


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"adam_betas, .*sgd_learning_rates"):
        next(figures_for("momentums", []))


def test_png_and_svg_are_written_and_nothing_else(tmp_path):
    saved, notes = save_figures("sgd_learning_rates", everything(1), tmp_path / "figures")
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(
        f"{one.name}.{kind}" for one in saved for kind in ("png", "svg")
    )
    assert all(one.png.read_bytes().startswith(b"\x89PNG") for one in saved)
    assert all(one.svg.read_text().rstrip().endswith("</svg>") for one in saved)
    assert notes == []


def test_the_same_runs_give_the_same_files(tmp_path):
    for folder in ("one", "two"):
        save(curves(momentum_grid(rates=(0.1,)), by="momentum"), tmp_path / folder, "a")
    for kind in ("png", "svg"):
        assert (tmp_path / "one" / f"a.{kind}").read_bytes() == (tmp_path / "two" / f"a.{kind}").read_bytes()


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    figure = curves([run(momentum=0.9)], by="momentum")
    save(figure, tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fails)
    with pytest.raises(EnvironmentFault, match="disk is full"):
        save(figure, tmp_path, "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figures_leave_matplotlibs_settings_as_they_were():
    import matplotlib

    before = dict(matplotlib.rcParams)
    list(figures_for("momentum_grid", momentum_grid()))
    assert dict(matplotlib.rcParams) == before


def test_importing_figures_and_report_loads_neither_jax_nor_pyplot():
    code = (
        "import sys, jaxopt_study.plots.picture, jaxopt_study.plots.general, jaxopt_study.report.outcome; "
        "print({'jax', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_training_does_not_wait_for_matplotlib_and_scipy():
    code = "import sys, jaxopt_study.api; sys.exit(bool({'matplotlib', 'scipy.stats'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
