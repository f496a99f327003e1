"""Whether evaluation and training agree: the three numbers are of the network's own answers."""

import jax
import numpy as np
import pytest

import jaxopt_study as js
from experiments.benchmarks import evaluation_shift
from jaxopt_study.errors import EnvironmentFault, InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shift")
    grid = js.make_grid("momentum", learning_rate=0.03)
    study = js.make_study(
        data=js.load("digits"),
        model=js.article_model(),
        grid=grid,
        max_epochs=2,
        workdir=folder,
        save_best_weights=True,
    )
    study.run()
    return folder


def test_losses_and_logits_are_those_of_the_network(trained):
    model, data = js.load_model(trained), js.load("digits")
    evaluated, as_trained, more = evaluation_shift.shift(model, data, 96, 5)
    labels = data.val_labels[:96]
    chances = model(data.val_images[:96])[np.arange(96), labels]
    assert evaluated.loss == pytest.approx(-np.log(chances).mean(), rel=1e-4)
    assert len({evaluated.loss, as_trained.loss, more.loss}) == 3


def test_without_its_lean_the_loss_is_the_lowest_of_all_with_a_number_added():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    logits = rng.normal(2 * labels - 1, 1.5)
    around = [evaluation_shift.said(logits + added, labels).loss for added in np.linspace(-3, 3, 601)]
    leaning = evaluation_shift.said(logits - 1.7, labels)
    assert leaning.upright == pytest.approx(min(around), abs=1e-5)
    assert leaning.upright < leaning.loss - 0.1
    assert evaluation_shift.said(logits, np.ones(400)).upright == pytest.approx(0, abs=1e-12)


def test_what_statistics_see_moves_the_third_number_alone(trained):
    model, data = js.load_model(trained), js.load("digits")
    few, many = (evaluation_shift.shift(model, data, 64, count) for count in (1, 600))
    assert few[0] == many[0]
    assert few[1] == many[1]
    stats = model.variables._replace(stats=jax.tree.map(lambda x: 2 * x, model.variables.stats))
    others = evaluation_shift.shift(model._replace(variables=stats), data, 64, 600)
    assert abs(others[0].logit - few[0].logit) > 0.05
    assert others[2].logit == pytest.approx(many[2].logit, abs=0.1 * abs(others[0].logit - few[0].logit))


def test_the_command_has_a_row_a_run_and_refuses_what_holds_no_weights(trained, tmp_path):
    ((name, three),) = evaluation_shift.rows(trained, None, 64, 2)
    assert name == "momentum (learning_rate 0.03)"
    assert three == evaluation_shift.shift(js.load_model(trained), js.load("digits"), 64, 2)
    with pytest.raises(InputError, match="allowed is a work directory with weights"):
        next(evaluation_shift.rows(tmp_path, None, 64, 2))


def test_other_data_than_it_was_trained_on_are_told(trained, monkeypatch):
    other = js.load("digits")._replace(fingerprint="0")
    monkeypatch.setattr(evaluation_shift, "load", lambda *_, **__: other)
    with pytest.raises(EnvironmentFault, match="is not here what"):
        next(evaluation_shift.rows(trained, None, 64, 2))
