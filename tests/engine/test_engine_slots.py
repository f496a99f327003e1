"""How runs are put on the devices: slots, refilling, closing ranks, one trace, no collectives."""

import numpy as np
import pytest
import small
from PIL import Image

from jaxopt_study.data.dataset import batches_of
from jaxopt_study.engine import sweep
from jaxopt_study.engine.devices import choose
from jaxopt_study.engine.slots import Scheduler
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.errors import Damaged
from jaxopt_study.storage import workdir
from jaxopt_study.training import step


def patch_epoch(monkeypatch, before) -> None:
    """Calls ``before`` with the states of every epoch that is launched."""
    compiled = sweep.Sweep.compiled

    class Watched:
        def __init__(self, executable):
            self.executable, self.memory_analysis = executable, executable.memory_analysis

        def __call__(self, states, *rest):
            before(states)
            return self.executable(states, *rest)

    def watched(self, call, slots):
        executable = compiled(self, call, slots)
        return Watched(executable) if call == "epoch" else executable

    monkeypatch.setattr(sweep.Sweep, "compiled", watched)


def spread_runs() -> list:
    """20 runs whose patience runs out after very different numbers of epochs."""
    return small.grid(rates=tuple(np.geomspace(0.001, 3, 10).tolist()), momenta=(0.0, 0.95))


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_an_uneven_grid_gives_every_result(tmp_path, strategy):
    runs = small.grid(rates=(0.001, 0.01, 0.1), momenta=(0.0, 0.5, 0.9, 0.95))
    histories = small.study(tmp_path, runs, epochs=2, slots=5, devices=4, strategy=strategy).train()
    assert len(histories) == len(list((tmp_path / "runs").glob("*.parquet"))) == 12
    assert all(history.epochs == 2 for history in histories)


def test_little_is_computed_in_vain_when_runs_stop_at_different_times(tmp_path):
    study = small.study(tmp_path, spread_runs(), epochs=150, patience=12, slots=4, devices=2)
    histories = study.train()
    stats = workdir.read_json(tmp_path / "stats.json")
    epochs = sorted(history.epochs for history in histories)
    assert epochs[-1] >= 5 * epochs[0]
    assert stats["epochs_trained"] == sum(epochs)
    assert stats["goodput"] == stats["epochs_trained"] / stats["epochs_computed"]
    assert stats["goodput"] > 0.9


@pytest.mark.slow
def test_stragglers_close_ranks_where_an_empty_slot_costs_as_much_as_a_full_one(tmp_path):
    sizes = []
    watcher = Watcher(tick=lambda scheduler: sizes.append(len(scheduler.slots)))
    study = small.study(tmp_path, spread_runs(), epochs=150, patience=12, slots=8, devices=1, strategy="vmap")
    histories = study.train(watcher)
    assert max(sizes) == 8
    assert min(sizes) == 1
    whole_block = max(h.epochs for h in histories) * len(histories)  # what one vmap over the grid computes
    assert workdir.read_json(tmp_path / "stats.json")["epochs_computed"] < 0.7 * whole_block


def test_at_most_the_given_number_of_slots_is_used(tmp_path):
    active = []
    small.study(tmp_path, small.grid(), epochs=3, slots=5, devices=4).train(
        Watcher(tick=lambda s: active.append(s.active))
    )
    assert max(active) <= 5


def test_a_second_grid_of_the_same_size_is_not_traced_again(tmp_path, monkeypatch):
    traces = []

    def counted(*args, **kwargs):
        traces.append(1)
        return step.train_step(*args, **kwargs)

    monkeypatch.setattr("jaxopt_study.training.epoch.train_step", counted)
    sweep.jitted.cache_clear()
    sweep._EXECUTABLES.clear()
    small.study(tmp_path / "a", small.grid((0.001, 0.01)), epochs=2).train()
    first = len(traces)
    assert first > 0
    small.study(tmp_path / "b", small.grid((0.02, 0.5), momenta=(0.3, 0.7)), epochs=3, patience=2).train()
    assert len(traces) == first


@pytest.mark.parametrize("strategy", ["map", "vmap"])
def test_devices_train_without_a_word_to_each_other(tmp_path, strategy):
    study = small.study(tmp_path, small.grid(), strategy=strategy)
    program = study.program(study.groups[0], strategy)
    batches = batches_of(study.dataset, batch_size=16, val_batch_size=8, seed=0)
    engine = sweep.Sweep(program, batches, choose(4))
    text = engine.compiled("epoch", 8).as_text()
    assert "while" in text
    for collective in ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text


def test_the_same_computation_under_two_names_is_trained_once(tmp_path):
    from jaxopt_study.grids.run import make_run

    runs = [
        make_run("momentum", {"learning_rate": 0.01, "momentum": 0.0}, 0),
        make_run("sgd", {"learning_rate": 0.01}, 0),
        make_run("nesterov", {"learning_rate": 0.01, "momentum": 0.0}, 0),
        make_run("nesterov", {"learning_rate": 0.01, "momentum": 0.9}, 0),
    ]
    study = small.study(tmp_path, runs)
    assert len(study.pending()) == 2
    histories = study.train()
    assert [h.optimizer for h in histories] == ["momentum", "sgd", "nesterov", "nesterov"]
    assert len(list((tmp_path / "runs").glob("*.parquet"))) == 2
    np.testing.assert_array_equal(histories[0].curves["val_loss"], histories[1].curves["val_loss"])


def test_a_larger_grid_trains_only_what_is_new(tmp_path):
    small.study(tmp_path, small.grid((0.01,))).train()
    trained = []
    watcher = Watcher(end=lambda run, history: trained.append(dict(run.hyperparameters)["learning_rate"]))
    assert len(small.study(tmp_path, small.grid((0.01, 0.1))).train(watcher)) == 4
    assert trained == [0.1, 0.1]


def test_a_report_is_read_while_the_next_epoch_is_under_way(tmp_path, monkeypatch):
    order = []
    patch_epoch(monkeypatch, lambda states: order.append("launch"))
    read = Scheduler._read
    monkeypatch.setattr(Scheduler, "_read", lambda self: (order.extend(["read"] if self.flight else []), read(self)))
    small.study(tmp_path, small.grid((0.01,)), epochs=4).train()
    assert order == ["launch", "launch", "read", "launch", "read", "launch", "read", "read"]


def test_out_of_memory_halves_the_slots_and_the_study_goes_on(tmp_path, monkeypatch):
    import jax

    asked = []

    def limited(states):
        asked.append(len(states.status))
        if len(states.status) > 3:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")

    whole = small.study(tmp_path / "a", small.grid(), devices=1).train()
    patch_epoch(monkeypatch, limited)
    with pytest.warns(UserWarning, match="out of memory with 6 slots; going on with 3"):
        histories = small.study(tmp_path / "b", small.grid(), devices=1).train()
    assert asked[0] == 6
    assert set(asked[1:]) == {3}
    for one, other in zip(whole, histories, strict=True):
        np.testing.assert_array_equal(one.curves["val_loss"], other.curves["val_loss"])


def test_slots_are_chosen_from_what_the_program_needs_and_the_device_has(tmp_path, monkeypatch):
    from jaxopt_study.engine import memory
    from jaxopt_study.engine.sweep import memory_of

    study = small.study(tmp_path, small.grid(seeds=4), devices=1)
    engine = study.sweep(study.groups[0], study.batches(16))
    assert memory.slots_for(engine, 24) == 24
    needs = {slots: memory_of(engine.compiled("epoch", slots)) for slots in (8, 24)}
    data = sum(x.nbytes for part in engine.batches for x in part)
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(needs[8] / memory.MARGIN) - data)
    chosen = memory.slots_for(engine, 24)
    assert 6 <= chosen <= 8
    assert memory_of(engine.compiled("epoch", chosen)) <= needs[8]
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    assert memory.slots_for(engine, 24) == 1


def test_halving_gives_the_epochs_to_the_best_third_at_every_rung(tmp_path):
    import dataclasses

    from jaxopt_study.engine.trainer import Trainer

    runs = small.grid(rates=(1e-4, 1e-3, 0.03), momenta=(0.0, 0.5, 0.9))
    plain = small.study(tmp_path / "a", runs, epochs=9)
    halved = Trainer(
        dataclasses.replace(plain.settings, halving=3), plain.dataset, runs, tmp_path / "b", model=small.MODEL
    )
    assert not set(plain.fingerprints.values()) & set(halved.fingerprints.values())
    histories = halved.train()
    assert sorted((h.epochs, h.status) for h in histories) == [(1, "halved")] * 6 + [(3, "halved")] * 2 + [
        (9, "finished")
    ]
    whole = plain.train()
    first = sorted(range(9), key=lambda i: whole[i].curves["val_loss"][0])[:3]
    assert {i for i in range(9) if histories[i].epochs > 1} == set(first)
    for one, other in zip(whole, histories, strict=True):
        np.testing.assert_array_equal(one.curves["val_loss"][: other.epochs], other.curves["val_loss"])


def test_best_weights_are_those_of_the_lowest_validation_loss_and_predict(tmp_path):
    from jaxopt_study.storage.weights import load_model

    study = small.study(tmp_path, small.grid((0.01, 0.3), (0.5,)), epochs=8, save_best_weights=True)
    for history in study.train():
        rate = history.hyperparameters["learning_rate"]
        predict = load_model(tmp_path, {"learning_rate": rate}, model=small.MODEL)
        probabilities = predict(study.dataset.val_images)
        assert probabilities.shape == (21, 2)
        chosen = probabilities[np.arange(21), study.dataset.val_labels]
        best = history.curves["val_loss"].argmin()
        np.testing.assert_allclose(-np.log(chosen).mean(), history.curves["val_loss"][best], rtol=1e-5)
    grey = Image.fromarray(np.repeat(np.repeat(study.dataset.val_images[3, ..., 0], 5, 0), 5, 1))
    grey.save(tmp_path / "photograph.png")
    told = predict.classify(tmp_path / "photograph.png")
    assert tuple(told) == ("dark", "light")
    pixels = " x ".join(map(str, study.dataset.val_images.shape[1:]))
    assert repr(predict) == f"<run {study.fingerprints[study.runs[-1]]}; examples of {pixels}; classes dark, light>"
    np.testing.assert_allclose(list(told.values()), probabilities[3], rtol=1e-6)
    with pytest.raises(ValueError, match="allowed is a file that Pillow reads"):
        predict.classify(tmp_path / "config.json")
    with pytest.raises(ValueError, match="allowed is a network for classes of pictures"):
        predict._replace(loss="squared_error").classify(tmp_path / "photograph.png")
    same = load_model(tmp_path, {"optimizer": "momentum", "learning_rate": rate}, model=small.MODEL)
    np.testing.assert_array_equal(same(study.dataset.val_images), probabilities)
    for fit, asked in ((2, {"momentum": 0.5}), (0, {"optimizer": "adam"})):
        with pytest.raises(ValueError, match=f"{fit} of 2 fit"):
            load_model(tmp_path, asked, model=small.MODEL)
    with pytest.raises(ValueError, match="0 of 2 fit"):
        load_model(tmp_path, {"learning_rate": 7.0}, model=small.MODEL)
    workdir.write_json(tmp_path / "weights" / study.fingerprints[study.runs[0]] / "digest.json", {"sha256": "another"})
    with pytest.raises(Damaged, match="its content is not what was written"):
        load_model(tmp_path, {"learning_rate": 0.01}, model=small.MODEL)
