"""Runs that go on from their best weights."""

import numpy as np
import pytest

import jaxopt_study as js
from experiments.benchmarks import further
from jaxopt_study.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("further")
    study = js.make_study(
        data=js.load("digits"),
        model=js.article_model(),
        grid=js.make_grid("momentum", learning_rate=0.03),
        max_epochs=4,
        data_seed=3,
        diagnostics=False,
        workdir=folder,
        save_best_weights=True,
    )
    study.run()
    return folder


def test_a_run_goes_on_where_its_best_weights_are(trained, tmp_path):
    ((name, of),) = further.chosen(trained, []).items()
    made = []

    def study_of(**given):
        # So small a rate moves nothing: what is evaluated are the weights that it begins with.
        still = js.make_grid("momentum", learning_rate=1e-30)
        given |= {"grid": still, "max_epochs": 1}
        made.append(js.make_study(**given, data=js.load("digits"), workdir=tmp_path))
        return made[0]

    before, since = further.gone_on(trained, name, of, study_of)
    model, data = js.load_model(trained), js.load("digits")
    assert before.loss == pytest.approx(of.curves["val_loss"].min())
    assert since.epoch == before.epoch + 1
    assert (made[0].settings.data_seed, made[0].settings.diagnostics) == (3, False)
    assert made[0].model.identity.startswith("article, from the best weights of run ")
    # Weights are the same, statistics have moved on by an epoch: the loss is near, and far from a fresh network's.
    chances = model(data.val_images)[np.arange(len(data.val_labels)), data.val_labels]
    assert before.loss == pytest.approx(-np.log(chances).mean(), rel=1e-4)
    assert abs(since.loss - before.loss) < 0.1 < abs(0.69 - since.loss)


def test_the_lowest_is_told_beside_what_is_around_it():
    curve = np.array([0.9, 0.5, np.nan, 0.2, 0.6])
    assert further.lowest(curve) == (0.2, 4, pytest.approx(0.55))
    assert np.isnan(further.lowest(np.array([np.nan, np.inf])).loss)


def test_only_what_has_weights_goes_on(trained, tmp_path):
    runs = further.chosen(trained, ["momentum"])
    assert len(runs) == 1
    assert further.chosen(trained, list(runs)).keys() == runs.keys()
    with pytest.raises(InputError, match="allowed is what has weights in it: "):
        further.chosen(trained, ["adam"])
    with pytest.raises(InputError, match="allowed is a work directory with weights"):
        further.chosen(tmp_path, [])
