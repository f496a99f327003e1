"""What is of a wrong type is refused in one line when it is given, and not where it is used, after the training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import jaxopt_study as js
from jaxopt_study.errors import InputError
from jaxopt_study.settings import Machines

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


class Net(nn.Module):
    layers: int = 1

    @nn.compact
    def __call__(self, x):
        for _ in range(self.layers):
            x = nn.tanh(nn.Dense(4)(x))
        return nn.Dense(1)(x)


def study(folder, **options):
    data = js.arrays(X, (X[:, 0] > 0).astype(int))
    given = {"model": Net(), "data": data, "grid": js.make_grid("sgd", learning_rate=[0.1]), "max_epochs": 2}
    return js.make_study(**given | {"workdir": folder} | options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    made = study(tmp_path_factory.mktemp("trained"))
    made.run()
    return made


RUN = js.make_grid("sgd", learning_rate=[0.1])
CASES = {
    "callback": (lambda s: study(s.folder, callbacks=[3]), "callbacks=3: allowed is an object with on_epoch"),
    "callbacks": (lambda s: study(s.folder, callbacks=3), "callbacks=3: allowed is a list"),
    "of run": (lambda s: s.run(print), "callbacks=.*allowed is an object with on_epoch"),
    "questions": (lambda s: study(s.folder, questions=3, until="decided"), "questions=3: allowed is a function"),
    "execution": (lambda s: study(s.folder, execution=3), "execution=3: allowed is a js.Execution"),
    "paper": (lambda s: s.report(paper=3.0), r"paper=3\.0: allowed are two widths"),
    "seeds": (lambda s: js.compare("sgd", "adam", on=s.dataset, model=Net(), max_seeds="3"), "max_seeds='3': allowed"),
    "unknown": (lambda s: js.compare("sgd", "adam", on=s.dataset, model=Net(), foo=1), "foo=1: allowed beside"),
    "branch": (lambda s: s.branch(s.runs[0], 1, RUN, workdir=3), "workdir=3: allowed is the path of a folder"),
    "reset": (lambda s: s.branch(s.runs[0], 1, RUN, reset="x"), "reset='x': allowed are True and False"),
    "where": (lambda s: js.make_grid("sgd", learning_rate=[0.1], where=lambda p: 1 / 0), "where=.*ZeroDivisionError"),
    "pairs": (lambda s: study(s.folder, grid=[s.runs[0]._replace(hyperparameters=3)]), "hyperparameters=3: allowed"),
    "coordinator": (
        lambda s: Machines(distributed=True, coordinator="nonsense", processes=1, process_id=0),
        "coordinator='nonsense': allowed is HOST:PORT",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_type_is_one_line(trained, name):
    call, told = CASES[name]
    with pytest.raises(InputError, match=told) as refused:
        call(trained)
    assert "\n" not in str(refused.value)


def test_a_rule_that_branches_on_what_it_remembers_is_refused_when_it_is_named():
    def mine(learning_rate):
        def update(grads, state, params=None):
            scale = 2.0 if state["first"] else 1.0
            return jax.tree.map(lambda x: -scale * learning_rate * x, grads), {"first": False}

        return optax.GradientTransformation(lambda params: {"first": True}, update)

    with pytest.raises(InputError, match="optimizer=mine: it cannot be used here: what it remembers is branched on"):
        js.make_grid(mine, learning_rate=[0.1])


def test_weights_without_elements_train_on_several_devices(tmp_path):
    model = js.functions(lambda key, x: {"w": jnp.zeros((4, 1)), "none": jnp.zeros((0, 3))}, lambda p, x: x @ p["w"])
    made = study(tmp_path, model=model, grid=js.make_grid("sgd", learning_rate=[0.1, 0.01]), devices=2)
    made.run()
    assert [history.status for history in made.histories] == ["finished"] * 2


@pytest.mark.parametrize(("layers", "count"), [(1, 1), (3, 0)])
def test_muon_is_said_to_be_adamw_where_no_matrix_is_hidden(tmp_path, capsys, layers, count):
    study(tmp_path, model=Net(layers), grid=js.make_grid("muon"))
    assert capsys.readouterr().err.count("muon: the network has no hidden matrix") == count
