"""js.compare: two rules, one answer."""

import json

import numpy as np
import pytest
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
DATA = js.arrays(X[:48], Y[:48], X[48:], Y[48:])


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(x)))


def test_a_rule_that_learns_is_better_than_one_that_hardly_moves_and_seeds_are_added_until_it_is_known(tmp_path):
    slow = js.make_grid("sgd", learning_rate=[1e-4])
    fast = js.make_grid("adam", learning_rate=[1e-4, 0.03])
    options = {"on": DATA, "model": Net(), "max_epochs": 5, "workdir": tmp_path, "seeds": 2, "max_seeds": 6}
    found = js.compare(fast, slow, **options)
    assert found.verdict == "adam is better"
    assert found.effect < 0
    assert found.low < found.effect < found.high < 0
    assert found.first.hyperparameters["learning_rate"] == 0.03
    assert 6 <= found.runs <= 18
    assert "adam is the best at the highest learning rate tried, 0.03" in found.reason
    assert repr(found).startswith("<adam is better: loss -")
    assert json.loads(json.dumps(found._asdict()))["verdict"] == found.verdict
    again = js.compare(slow, fast, **options)
    assert (again.verdict, again.runs) == (found.verdict, found.runs)
    assert again.effect > 0


def test_rules_are_judged_by_what_is_monitored(tmp_path):
    """Here by a number that is to be large, and is where the loss is small."""
    metrics = {"share": lambda outputs, labels: (outputs[:, 0] > 0) == (labels > 0)}
    options = {"metrics": metrics, "monitor": "share", "mode": "max"}
    options |= {"on": DATA, "model": Net(), "max_epochs": 5, "workdir": tmp_path, "seeds": 3, "max_seeds": 8}
    found = js.compare(js.make_grid("adam", learning_rate=0.1), js.make_grid("sgd", learning_rate=1e-4), **options)
    assert found.verdict == "adam is better"
    assert 0 < found.low < found.effect < found.high
    means = [one.value for one in (found.first, found.second)]
    assert found.effect == pytest.approx(means[0] - means[1])
    assert repr(found).startswith(f"<adam is better: share {found.effect:+.4g} (+0.")


@pytest.mark.parametrize(
    ("first", "second", "options", "told"),
    [
        ("adam", "adam", {}, "second=adam: allowed is another rule, or another grid, than the first"),
        ("adam", "sdg", {}, "optimizer=sdg"),
        ("adam", "sgd", {"monitor": "f1"}, "monitor='f1': allowed are val_loss, val_accuracy"),
        ("adam", "sgd", {"grid": []}, "grid=[]: not allowed in compare; first is"),
        ("adam", "sgd", {"until": "bored"}, "until=bored: allowed are decided"),
        ("adam", "sgd", {"on": [1, 2]}, "on=list: allowed are digits"),
        ("adam", "sgd", {"minutes": 0}, "minutes=0: allowed is a number above 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(first, second, options, told, tmp_path):
    with pytest.raises(InputError) as refused:
        js.compare(first, second, **{"on": DATA, "model": Net(), "workdir": tmp_path} | options)
    assert str(refused.value).startswith(told)
