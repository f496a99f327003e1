"""What was begun goes on whatever is trained in between, and with whatever larger grid."""

import shutil
from pathlib import Path

import numpy as np
import optax
import pytest
import small
from begun import interrupt, resumed
from compared import assert_close, assert_identical, by_run

import jaxopt_study as js
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Run, make_run, product
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import Settings
from jaxopt_study.storage import checkpoint, parked


def adam(rates: tuple[float, ...] = (0.01, 0.1)) -> list[Run]:
    return product("adam", {"learning_rate": rates}, 1)


def steps_in(folder: Path) -> list[int]:
    return [int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdigit()]


def test_what_another_experiment_has_begun_in_the_same_work_directory_goes_on_after_it(tmp_path):
    whole = by_run(small.study(tmp_path / "whole", small.grid(), epochs=8).train())
    parts = tmp_path / "parts"
    assert interrupt(small.study(parts, small.grid(), epochs=8), 3)
    for _ in range(checkpoint.KEPT + 1):
        interrupt(small.study(parts, adam(), epochs=8), 1)
    assert 1 not in resumed(small.study(parts, adam(), epochs=8))
    assert steps_in(parts)
    study = small.study(parts, small.grid(), epochs=8)
    assert min(resumed(study)) > 3
    for key, history in by_run(study.histories).items():
        assert_identical(history, whole[key])
    assert not steps_in(parts)


def test_runs_begun_of_a_group_whose_turn_comes_later_are_kept_while_others_train(tmp_path):
    def study(rates):
        sizes = [make_run("sgd", {"learning_rate": rate, "batch_size": size}, 0) for size in (16, 8) for rate in rates]
        return small.study(tmp_path, sizes, epochs=8, slots=2, devices=1)

    first = study((0.01, 0.1))
    done = []
    with pytest.raises(Interrupted):
        first.train(
            Watcher(
                end=lambda run, history: done.append(run),
                epoch=lambda run, number, metrics: done.append(run) if number == 4 else None,
                interrupted=lambda: len(done) >= 6,
            )
        )
    assert len(first.pending()) == 2
    for _ in range(checkpoint.KEPT + 1):
        interrupt(study((0.01, 0.1, 0.2, 0.3)), 1)  # of the first group again
    numbers = resumed(study((0.01, 0.1, 0.2, 0.3)))
    assert numbers.count(1) == 2  # the two new runs of the second group


def test_nothing_is_kept_of_a_rule_that_was_edited(tmp_path, monkeypatch):
    def study(scale):
        monkeypatch.delitem(registry.OPTIMIZERS, "edited_in_between", raising=False)
        js.rule(lambda learning_rate: optax.sgd(scale * learning_rate), "edited_in_between")
        return small.study(tmp_path, product("edited_in_between", {"learning_rate": (0.1,)}, 1), epochs=8)

    interrupt(study(1.0), 3)
    assert 1 in resumed(study(2.0))
    assert not steps_in(tmp_path)


def test_a_checkpoint_without_fingerprints_is_read_as_before(tmp_path, monkeypatch):
    def as_before(part):
        described, arrays = written(part)
        return {
            name: value for name, value in described.items() if name not in ("study", "said", "fingerprints")
        }, arrays

    written = parked.Part.written
    with monkeypatch.context() as before:
        before.setattr(parked.Part, "written", as_before)
        interrupt(small.study(tmp_path, small.grid(), epochs=8), 3)
    assert 1 not in resumed(small.study(tmp_path, small.grid(), epochs=8))


@pytest.mark.parametrize(("before", "after"), [([8], [8, 16]), ([8, 16], [8]), ([8, 16], [8, 4])])
def test_a_study_of_more_batch_sizes_goes_on_with_what_was_begun_of_fewer(tmp_path, before, after):
    def study(sizes):
        runs, own = small.grid((0.01,)), len(sizes) > 1
        runs = [make_run(r.optimizer, {"batch_size": n} | dict(r.hyperparameters), 0) for n in sizes for r in runs]
        alone = Settings(batch_size=sizes[0], max_epochs=8)
        runs = runs if own else small.grid((0.01,))
        return Trainer(Settings(max_epochs=8) if own else alone, small.dataset(), runs, tmp_path, model=small.MODEL)

    interrupt(study(before), 3)
    numbers = resumed(study(after))
    assert numbers.count(1) == 2 * (len(after) - 1)  # of the size that is new


def test_best_weights_may_be_given_up_after_an_interrupt_and_not_asked_for(tmp_path):
    whole = by_run(small.study(tmp_path / "whole", small.grid(), epochs=8).train())
    interrupt(small.study(tmp_path / "with", small.grid(), epochs=8, save_best_weights=True), 3)
    study = small.study(tmp_path / "with", small.grid(), epochs=8)
    assert 1 not in resumed(study)
    for key, history in by_run(study.histories).items():
        assert_close(history, whole[key])
    interrupt(small.study(tmp_path / "without", small.grid(), epochs=8), 3)
    with pytest.raises(
        EnvironmentFault, match=r"^--save_best_weights: .* were begun without it, .* another --workdir$"
    ):
        small.study(tmp_path / "without", small.grid(), epochs=8, save_best_weights=True).train()
    assert 1 not in resumed(small.study(tmp_path / "without", small.grid(), epochs=8))


def test_what_a_kill_leaves_of_a_finished_study_is_in_nobodys_way(tmp_path):
    """Killed between the last run's way into the store and the removal of its checkpoint; or finished on a cluster."""
    left, folder = tmp_path / "left", tmp_path / "w"
    interrupt(small.study(folder, adam(), epochs=6), 3)
    shutil.copytree(folder / "checkpoints", left)
    resumed(small.study(folder, adam(), epochs=6))
    for epochs, trained in ((7, [1]), (6, [])):
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        shutil.copytree(left, folder / "checkpoints")
        assert resumed(small.study(folder, adam(), epochs=epochs))[:1] == trained
        assert not steps_in(folder)


def test_a_checkpoint_of_a_rule_that_is_another_now_refuses_no_study(tmp_path):
    def study(scale, epochs):
        registry.OPTIMIZERS.pop("edited_since", None)
        js.rule(lambda learning_rate: optax.sgd(scale * learning_rate), "edited_since")
        return small.study(tmp_path, product("edited_since", {"learning_rate": (0.1,)}, 1), epochs=epochs)

    interrupt(study(1.0, 6), 3)
    with pytest.raises(EnvironmentFault, match="another study"):
        resumed(study(1.0, 7))
    assert resumed(study(2.0, 7))[0] == 1


def test_a_finished_study_leaves_the_checkpoint_of_another_as_it_is(tmp_path):
    """It is neither read nor written again for nothing, nor in the way if it is damaged."""
    resumed(small.study(tmp_path, adam(), epochs=6))
    interrupt(small.study(tmp_path, small.grid(), epochs=6), 3)
    before = steps_in(tmp_path)
    assert resumed(small.study(tmp_path, adam(), epochs=6)) == []
    assert steps_in(tmp_path) == before
    for path in (tmp_path / "checkpoints").rglob("metadata"):
        path.write_text("{}")
    assert resumed(small.study(tmp_path, adam(), epochs=6)) == []
    assert steps_in(tmp_path) == before


def test_who_watches_hears_what_was_trained_before_of_the_store_and_of_the_checkpoint(tmp_path):
    def study(rates):
        return small.study(tmp_path, small.grid(rates), epochs=8)

    study((0.01,)).train()
    interrupt(study((0.01, 0.1)), 3)
    heard = []
    study((0.01, 0.1)).train(Watcher(known=lambda losses: heard.append(losses.tolist())))
    whole = [history.curves["val_loss"].tolist() for history in study((0.01, 0.1)).histories]
    begun, stored = np.split(np.sort([len(losses) for losses in heard]), 2)
    assert stored.tolist() == [8, 8]
    assert 0 < begun.min() <= begun.max() < 8
    assert all(any(losses == of[: len(losses)] for of in whole) for losses in heard)
