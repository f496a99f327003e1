import math

import numpy as np
import pytest
from plot_runs import momentum_grid, run

from jaxopt_study.analysis.best import best_places
from jaxopt_study.analysis.minima import seed_minima
from jaxopt_study.plots.comparison import minimum_by
from jaxopt_study.plots.heatmaps import cell_text, heat_map, table
from jaxopt_study.plots.selection import NotDrawable


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text()]


def test_a_cell_is_the_mean_of_the_minima_with_their_range():
    one = seed_minima([run(seed=s) for s in range(3)])
    minima = [float(run(seed=s).curves["val_loss"].min()) for s in range(3)]
    assert (one.value, one.low, one.high) == (pytest.approx(np.mean(minima)), min(minima), max(minima))


def test_a_diverged_cell_names_the_epochs_and_has_no_value():
    one = seed_minima([run(diverged=3), run(seed=1, diverged=5)])
    assert cell_text(one) == ("diverged", "epoch 3-5")
    assert math.isnan(one.value)


def test_a_partly_diverged_cell_gives_the_rest_and_says_so():
    one = seed_minima([run(), run(seed=1, diverged=5)])
    assert cell_text(one)[1] == "1 of 2 diverged"
    assert one.value == pytest.approx(float(run().curves["val_loss"].min()))


def test_a_missing_cell_is_visible():
    runs = [run(learning_rate=0.1, momentum=0.0), run(learning_rate=0.2, momentum=0.9)]
    figure = heat_map(runs, x="momentum", y="learning_rate")
    assert texts(figure).count("not run") == 2 * 2


def test_ties_are_all_the_best_and_diverged_cells_never():
    cells = [seed_minima([run(low=0.4)]), seed_minima([run(low=0.4)])]
    cells += [seed_minima([run(low=0.1), run(low=0.1, seed=1, diverged=3)]), seed_minima([])]
    assert best_places(cells) == [0, 1]
    assert best_places(cells[2:]) == []


@pytest.mark.parametrize(("among", "stars"), [("row", 3), ("all", 1)])
def test_the_best_is_starred_among_what_was_asked_for(among, stars):
    figure = heat_map(
        [run(learning_rate=rate, momentum=m, low=0.3 + rate + m / 100) for rate in (0.1, 0.2, 0.3) for m in (0.0, 0.9)],
        x="momentum", y="learning_rate", best=among,
    )  # fmt: skip
    assert sum("\N{BLACK STAR}" in text for text in texts(figure)) == 2 * stars


def test_rows_and_columns_ascend():
    cells = table(momentum_grid(rates=(0.2, 0.1), seeds=1), x="momentum", y="learning_rate", curve="train_loss")
    assert cells[0][0].value < cells[1][0].value


def test_a_heat_map_of_diverged_runs_alone_is_drawn():
    runs = [run(learning_rate=r, momentum=0.9, diverged=1) for r in (0.1, 0.2)]
    assert texts(heat_map(runs, x="momentum", y="learning_rate")).count("diverged") == 4


def test_a_loss_beyond_the_ceiling_keeps_its_number_and_leaves_the_colours_to_the_others():
    runs = [run(learning_rate=0.1, momentum=m, low=low) for m, low in ((0.0, 0.2), (0.5, 0.4), (0.9, 0.6))]
    runs[2].curves["val_loss"][:] = 17.0
    figure = heat_map(runs, x="momentum", y="learning_rate", chance=0.693)
    assert "17.000" in texts(figure)
    assert figure.axes[-1].get_ylim()[1] == pytest.approx(0.693)
    assert "0.693 or more" in figure.axes[-1].get_ylabel()


def test_a_heat_map_of_nothing_is_refused():
    with pytest.raises(NotDrawable, match="no runs"):
        heat_map([], x="momentum", y="learning_rate")


def test_the_best_value_of_a_hyperparameter_is_ringed_and_named():
    runs = [run("sgd", learning_rate=rate, low=low) for rate, low in ((0.01, 0.4), (0.1, 0.2), (1.0, 0.3))]
    axes = minimum_by(runs, by="learning_rate").axes[0]
    rings = [line for line in axes.lines if line.get_markersize() == 12]
    assert [ring.get_xdata().tolist() for ring in rings] == [[0.1], [0.1]]
    assert all(ring.get_label().endswith("at 0.1") for ring in rings)
    assert axes.get_xscale() == "log"


def test_rates_at_which_runs_diverged_are_crossed():
    runs = [run("sgd", learning_rate=0.1), run("sgd", learning_rate=1.0, diverged=2)]
    axes = minimum_by(runs, by="learning_rate").axes[0]
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert cross.get_xdata().tolist() == [1.0]
