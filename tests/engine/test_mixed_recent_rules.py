"""Rules from 2016 on in one program: the same by turns and batched; Muon says which layers are whose."""

import numpy as np
import pytest
import small

from jaxopt_study.grids.run import make_run
from jaxopt_study.optimizers import registry

EPSILON = 1e-3  # with a small one full steps are made of gradients that are rounding alone
RATES = {"prodigy": 1.0, "schedule_free_sgd": 0.1}


QUICK = ("sgd", "schedule_free_adamw")  # those of matrices take half a minute to compile
RECENT = tuple(name for name in registry.OPTIMIZERS if name not in registry.OF_ARTICLE)


def run_of(name):
    numbers = {"learning_rate": RATES.get(name, 0.003), "eps": EPSILON}
    return make_run(name, {n: value for n, value in numbers.items() if registry.family(name).has(n)}, 0)


@pytest.fixture(scope="module", params=[QUICK, pytest.param(RECENT, marks=pytest.mark.slow)], ids=["two", "all"])
def trained(request, tmp_path_factory):
    """Of both strategies the histories by rule."""
    found = {}
    for strategy in ("map", "vmap"):
        runs = [run_of(name) for name in request.param]
        study = small.study(tmp_path_factory.mktemp(strategy), runs, epochs=2, strategy=strategy, devices=2, slots=8)
        found[strategy] = {history.optimizer: history for history in study.train()}
    return found


def test_recent_rules_train_the_same_by_turns_and_batched(trained):
    in_turn, batched = trained["map"], trained["vmap"]
    assert len(in_turn) >= len(QUICK)
    for name, history in in_turn.items():
        for curve in ("train_loss", "val_loss"):
            np.testing.assert_allclose(history.curves[curve], batched[name].curves[curve], rtol=5e-3, err_msg=name)
    losses = [history.curves["train_loss"][-1] for history in in_turn.values()]
    assert len(set(losses)) == len(losses)


def test_config_json_says_what_muon_takes_for_matrices(tmp_path):
    told = small.study(tmp_path, [run_of("sgd"), run_of("muon")]).describe()["treatments"]
    assert told == {"muon": "no array as matrices; all else by AdamW, the first and the last layer too"}
