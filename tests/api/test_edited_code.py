"""One fingerprint is one computation, whatever becomes of the globals that the user's own code reads."""

import jax
import numpy as np
import optax
import own_studies
import pytest

import jaxopt_study as js
from jaxopt_study.optimizers import registry

FACTOR = 1.0


def init(key, x):
    return jax.random.normal(key, (x.shape[-1], 3))


def apply(params, x):
    return FACTOR * (x @ params)


def scaled(loss):
    return FACTOR * loss


if hasattr(jax, "make_user_context"):  # without it JAX's own jit holds what it traced, whatever becomes of the global
    scaled = jax.jit(scaled)


def own_loss(outputs, labels):
    """By way of a function that JAX itself keeps what it traced of."""
    return scaled(optax.softmax_cross_entropy_with_integer_labels(outputs, labels))


def own_metric(outputs, labels):
    return FACTOR * (outputs.argmax(-1) != labels) + 1.0


def mine(learning_rate):
    return optax.sgd(FACTOR * learning_rate)


def plain(params, x):
    return x @ params


PLAIN = js.functions(init, plain)
OWN = {
    "model": {"model": js.functions(init, apply)},
    "loss": {"loss": own_loss},
    "metrics": {"metrics": {"errors": own_metric}},
    "optimizer": {"optimizer": mine},
}


def study(folder, model=PLAIN, optimizer="sgd", rates=(0.1,), **options):
    grid = js.make_grid(optimizer, learning_rate=list(rates))
    small = {"max_epochs": 1, "batch_size": 8, "slots": 1, "devices": 1, **options}
    return js.make_study(model=model, data=own_studies.data(), grid=grid, workdir=folder, **small)


def curves(of):
    of.run()
    return of.histories[0].curves


@pytest.mark.parametrize("what", OWN)
def test_another_global_is_another_fingerprint_and_another_computation(tmp_path, monkeypatch, what):
    first = study(tmp_path, **OWN[what])
    before = curves(first)
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    second = study(tmp_path, **OWN[what])
    assert not {*first.fingerprints.values()} & {*second.fingerprints.values()}
    after = curves(second)
    changed = {name for name in before if not np.array_equal(before[name], after[name], equal_nan=True)}
    if what == "metrics":
        np.testing.assert_allclose(after["errors"] - 1, 3 * (before["errors"] - 1), rtol=1e-5)
        assert changed == {"errors"}
    else:
        assert "val_loss" in changed
    monkeypatch.setattr(f"{__name__}.FACTOR", 1.0)
    again = study(tmp_path / "again", **OWN[what])
    assert again.fingerprints == first.fingerprints
    for name, curve in curves(again).items():
        np.testing.assert_array_equal(curve, before[name])


def test_a_longer_grid_of_what_was_edited_is_not_trained_under_the_name_of_the_first(tmp_path, monkeypatch):
    first = study(tmp_path, **OWN["model"])
    first.run()
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    longer = study(tmp_path, rates=(0.1, 0.2), **OWN["model"])
    assert len(longer.pending()) == 2
    assert longer.identity["model"] == js.functions(init, apply).identity != first.identity["model"]


@pytest.mark.parametrize("what", OWN)
def test_what_is_edited_before_a_study_is_trained_is_refused_in_a_line(tmp_path, monkeypatch, what):
    made = study(tmp_path, **OWN[what])
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    for use in (made.run, made.plan, made.costs):
        with pytest.raises(js.InputError, match=rf"^{what}=\w+: it was edited since the study was made; allowed"):
            use()
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_study_that_is_trained_shows_what_it_has_whatever_was_edited_since(tmp_path, monkeypatch):
    made = study(tmp_path, **OWN["model"])
    assert len(made.run()["epoch"]) == 1
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    assert len(made.run()["epoch"]) == 1


def test_a_rule_that_is_known_by_name_is_refused_where_what_it_reads_is_another(tmp_path, monkeypatch):
    js.rule(mine)
    js.wrapped(optax.lookahead, "mine", "around", static={"sync_period": 2, "slow_step_size": 0.5})
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    for name in ("mine", "around"):
        with pytest.raises(js.InputError, match=rf"^optimizer={name}: it was edited since it was made; allowed"):
            study(tmp_path, optimizer=name)
    assert registry.family("mine") is not js.rule(mine)
    assert study(tmp_path, optimizer="mine").pending()


def test_what_a_function_fills_when_it_is_traced_is_no_edit(tmp_path):
    tables = {}

    def remembering(params, x):
        tables.setdefault(len(x), np.ones(3, np.float32))
        return x @ params * tables[len(x)][None]

    class Stop:
        def on_epoch(self, run, number, metrics):
            raise KeyboardInterrupt

        def on_run_end(self, run, history):
            pass

    made = study(tmp_path, js.functions(init, remembering), max_epochs=2)
    assert [*tables] == [2]
    with pytest.raises(KeyboardInterrupt):
        made.run(Stop())
    assert len(tables) > 1
    assert len(made.run()["epoch"]) == 2


def remembers(kind):
    """What a user may give that fills something when it is traced, by the shapes that it is traced with."""
    seen = {}

    def apply(params, x):
        return x @ params * seen.setdefault(x.shape, np.ones((1, 3), np.float32))

    def loss(outputs, labels):
        seen.setdefault(outputs.shape, 1)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)

    def errors(outputs, labels):
        seen.setdefault(outputs.shape, 1)
        return (outputs.argmax(-1) != labels).astype(np.float32)

    def rule(learning_rate):
        def update(grads, state, params=None):
            seen.setdefault(str(jax.tree.map(lambda g: g.shape, grads)), 1)
            return jax.tree.map(lambda g: -learning_rate * g, grads), state

        return optax.GradientTransformation(lambda params: (), update)

    return {
        "model": lambda: {"model": js.functions(init, apply)},
        "loss": lambda: {"loss": loss},
        "metrics": lambda: {"metrics": {"errors": errors}},
        "optimizer": lambda: {"optimizer": js.rule(rule, name=f"remembering_{len(registry.OPTIMIZERS)}")},
    }[kind]()


@pytest.mark.parametrize("kind", OWN)
def test_what_is_traced_is_not_edited_in_whichever_study_and_by_whatever(tmp_path, kind):
    given = remembers(kind)
    one, other = (study(tmp_path / str(size), batch_size=size, **given) for size in (8, 4))
    one.plan()
    if kind == "model":
        one.costs()
    assert len(one.run()["epoch"]) == len(other.run()["epoch"]) == 1
    assert study(tmp_path / "16", batch_size=16, **given).run().num_rows == 1


def test_a_network_that_is_given_again_after_training_is_the_same_and_trained_once(tmp_path):
    calls = {"count": 0, "last": None}

    def counting(params, x):
        calls["count"] += 1
        return x @ params

    def keeping(params, x):
        calls["last"] = x @ params
        return calls["last"]

    for name, forward in (("counting", counting), ("keeping", keeping)):
        network = js.functions(init, forward)
        first = study(tmp_path / name, network)
        first.run()
        again = study(tmp_path / name, network)
        assert again.fingerprints == first.fingerprints
        assert not again.pending()


def test_an_edit_after_a_trace_is_still_an_edit(tmp_path, monkeypatch):
    seen = {}

    def remembering(params, x):
        seen.setdefault(x.shape, 1)
        return FACTOR * (x @ params)

    made = study(tmp_path, js.functions(init, remembering))
    made.plan()
    monkeypatch.setattr(f"{__name__}.FACTOR", 3.0)
    with pytest.raises(js.InputError, match="it was edited since the study was made"):
        made.run()
