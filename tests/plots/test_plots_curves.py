import numpy as np
import pytest
from plot_runs import momentum_grid, run

from jaxopt_study.analysis.runs import by_rule
from jaxopt_study.analysis.tuning import tuning_curves
from jaxopt_study.plots import labels, picture, style, tuning
from jaxopt_study.plots.epoch_curves import band, lines
from jaxopt_study.plots.selection import NotDrawable


def curves(runs, *, by, ceiling=np.inf):
    """The figure with losses above ``ceiling`` cut off."""
    return picture.curve_picture(0, picture.Source(runs, ceiling / style.SHOWN_LOSS), "", shows="curves", by=by).figure


def drawn(axes, label):
    """Epochs and values of the line with this label."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line.get_xdata(), line.get_ydata()


def test_the_band_is_mean_minimum_and_maximum_over_the_seeds():
    runs = [run(seed=s, learning_rate=0.1) for s in range(3)]
    one = band(runs, "val_loss")
    stack = np.stack([h.curves["val_loss"] for h in runs]).astype(np.float64)
    np.testing.assert_allclose(one.mean, stack.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(one.low, stack.min(axis=0))
    np.testing.assert_array_equal(one.high, stack.max(axis=0))
    assert one.complete.all()


def test_where_a_seed_has_stopped_the_mean_is_of_the_rest_and_is_marked_incomplete():
    runs = [run(seed=0, epochs=3), run(seed=1, epochs=5)]
    one = band(runs, "val_loss")
    assert one.complete.tolist() == [True] * 3 + [False] * 2
    np.testing.assert_allclose(one.mean[3:], runs[1].curves["val_loss"][3:], rtol=1e-6)


def test_an_epoch_with_no_finite_value_is_nan_without_a_warning():
    one = band([run(diverged=1)], "val_loss")
    assert np.isnan(one.mean).all()
    assert len(band([], "val_loss").mean) == 0


def test_a_diverged_run_is_not_in_the_mean_and_is_marked_at_its_epoch():
    runs = [run(seed=0, momentum=0.9), run(seed=1, momentum=0.9, diverged=4)]
    axes = curves(runs, by="momentum").axes[1]
    _, values = drawn(axes, "0.9 (1 of 2 diverged)")
    np.testing.assert_allclose(values, runs[0].curves["val_loss"], rtol=1e-6)
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [cross.get_xdata()[0] for cross in crosses] == [4]


def test_runs_that_all_diverged_stay_in_the_legend():
    figure = curves([run(momentum=0.9, diverged=3)], by="momentum")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0.9 (diverged)"]


def test_only_not_finite_values_give_a_figure_that_says_so():
    figure = curves([run(momentum=0.9, diverged=1)], by="momentum")
    for axes in figure.axes:
        assert "no finite value" in [text.get_text() for text in axes.texts]


def test_the_panels_of_losses_share_one_scale():
    left, right = curves(momentum_grid(rates=(0.1,)), by="momentum").axes
    assert left.get_ylim() == right.get_ylim()


def test_a_spike_is_cut_off_and_said_so():
    runs = [run(momentum=0.5, epochs=40), run(momentum=0.9, epochs=40)]
    runs[1].curves["val_loss"][20] = 1e6
    left, right = curves(runs, by="momentum").axes
    assert right.get_ylim()[1] < 10
    assert ["1e+06" in text.get_text() for text in right.texts] == [True]
    assert not left.texts


@pytest.mark.parametrize(("low", "scale"), [(0.3, "linear"), (0.01, "log")])
def test_the_loss_axis_is_logarithmic_where_losses_span_much(low, scale):
    assert curves([run(momentum=0.9, low=low, epochs=20)], by="momentum").axes[0].get_yscale() == scale


def test_the_epoch_axis_counts_whole_epochs_from_one():
    for epochs in (1, 2, 7, 30, 1000):
        ticks = curves([run(momentum=0.9, epochs=epochs)], by="momentum").axes[0].get_xticks()
        assert ticks[0] == 1
        assert all(tick == int(tick) and tick <= epochs for tick in ticks)
        assert len(ticks) <= 9


def test_lines_differ_in_more_than_colour():
    looks = {(look.linestyle, look.marker) for look in style.ordered_looks(9)}
    assert len(looks) == 9


@pytest.mark.parametrize("own", [[], ["mine"], [f"adamw_{i}" for i in range(8)], [f"rule {i}" for i in range(30)]])
def test_no_two_names_of_a_figure_have_one_look(own):
    ours = list(labels.OPTIMIZERS) if len(own) < 30 else []
    found = style.looks([*own, *ours])
    assert list(found) == [*own, *ours]
    assert len({(look.color, look.linestyle) for look in found.values()}) == len(found)
    assert len({(look.color, look.marker) for look in found.values()}) == len(found)
    for name in ours:  # the same in every figure
        assert style.looks([name])[name] == found[name]
    if own and ours:  # as long as no rule of ours has it
        assert style.looks([own[0], "adam"])[own[0]] == found[own[0]]


def test_a_line_and_its_place_in_the_legend_look_the_same():
    rules = ("adam", "mine", "muon", "adam_cosine")
    made = [
        run(rule, seed=s, learning_rate=rate, low=0.3 + rate) for rule in rules for rate in (0.1, 0.2) for s in (0, 1)
    ]
    figure = tuning.lines(tuning_curves(by_rule(made)))
    (legend,) = figure.legends
    keys = {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)}
    looks = {name: (key.get_color(), key.get_marker()) for name, key in keys.items()}
    assert len(set(looks.values())) == len(rules)
    for line in figure.axes[0].lines:
        if line.get_label() in looks:
            assert (line.get_color(), line.get_marker()) == looks[line.get_label()]


def test_values_over_several_hyperparameters_are_told_apart():
    runs = [run("adam", b1=b1, b2=b2) for b1 in (0.5, 0.9) for b2 in (0.9, 0.999)]
    figure = curves(runs, by=("b1", "b2"))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["0.5, 0.9", "0.5, 0.999", "0.9, 0.9", "0.9, 0.999"]


def test_configurations_are_never_averaged():
    with pytest.raises(NotDrawable, match="differ in more than their seed: show fewer"):
        curves(momentum_grid(), by="momentum")


def test_named_groups_are_drawn_under_their_names():
    axes = lines({"one": [run(epochs=3)], "two": [run(epochs=5)]}).axes[0]
    assert [len(drawn(axes, name)[0]) for name in ("one", "two")] == [3, 5]


def test_losses_above_the_ceiling_are_cut_off_and_the_rest_keeps_its_scale():
    runs = [run(momentum=0.5), run(momentum=0.99)]
    runs[1].curves["train_loss"][:] = 1e4
    left, right = curves(runs, by="momentum", ceiling=2.0).axes
    assert left.get_ylim()[1] < 2
    assert "1e+04" in left.texts[0].get_text()
    assert not right.texts


def test_a_ceiling_below_everything_cuts_nothing():
    axes = curves([run(momentum=0.5)], by="momentum", ceiling=1e-3).axes[0]
    assert axes.get_ylim()[1] > 0.5
