"""Nothing that was computed is lost: interrupts, kills, damaged files, full disks, two processes."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import small
from begun import interrupt
from children import ENVIRONMENT
from compared import assert_identical, by_run
from orbax import checkpoint as ocp

from jaxopt_study import files
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.engine.watcher import Interrupted, OutOfTime, Watcher
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.models.network import Variables
from jaxopt_study.settings import Execution, Settings
from jaxopt_study.storage import checkpoint, weights, workdir
from jaxopt_study.storage.store import load_runs, run_files


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["map", "vmap"])
def test_an_interrupted_study_goes_on_to_the_same_results_bit_for_bit(tmp_path, strategy):
    options = {"slots": 4, "devices": 2, "strategy": strategy, "epochs": 8}
    whole = by_run(small.study(tmp_path / "whole", small.grid(), **options).train())
    for ticks in (2, 3, 1):
        interrupt(small.study(tmp_path / "parts", small.grid(), **options), ticks)
    trained = []
    watcher = Watcher(epoch=lambda run, number, metrics: trained.append(number))
    resumed = by_run(small.study(tmp_path / "parts", small.grid(), **options).train(watcher))
    assert len(trained) < 6 * 8
    assert resumed.keys() == whole.keys()
    for key, history in whole.items():
        assert_identical(history, resumed[key])
    assert not [p for p in (tmp_path / "parts" / "checkpoints").iterdir() if p.name.isdigit()]


@pytest.mark.parametrize("halving", [None, 2])
def test_a_study_that_is_out_of_time_after_every_epoch_comes_to_the_same_results_and_counts_all_of_them(
    tmp_path, halving
):
    def study(name):
        settings = Settings(batch_size=16, max_epochs=4, halving=halving)
        execution = Execution(slots=4, devices=2, strategy="map")
        runs = small.grid((0.001, 0.03))
        return Trainer(settings, small.dataset(), runs, tmp_path / name, model=small.MODEL, execution=execution)

    whole = by_run(study("whole").train())
    calls = trained = 0
    while study("parts").pending():
        calls += 1
        numbers = []
        told = Watcher(epoch=lambda run, number, metrics, n=numbers: n.append(number), out_of_time=lambda: True)
        with contextlib.suppress(OutOfTime):
            study("parts").train(told)
        assert numbers  # however short the time, it goes on
        trained += len(numbers)
    assert calls > 2
    resumed = by_run(study("parts").histories)
    assert trained == sum(history.epochs for history in resumed.values())
    stats = workdir.read_stats(tmp_path / "parts" / "stats.json")
    assert (stats["epochs_trained"], stats["runs"]) == (trained, 4)
    for key, history in whole.items():
        assert_identical(history, resumed[key])


@pytest.mark.gpu
def test_a_checkpoint_can_be_resumed_with_other_slots_and_a_larger_grid(tmp_path):
    interrupt(small.study(tmp_path, small.grid(), slots=6, epochs=8), 3)
    numbers = []
    watcher = Watcher(epoch=lambda run, number, metrics: numbers.append(number))
    histories = small.study(tmp_path, small.grid((0.001, 0.03, 0.3, 0.5)), slots=2, epochs=8).train(watcher)
    assert len(histories) == 8
    assert all(history.epochs == 8 for history in histories)
    assert sum(number <= 3 for number in numbers) == 2 * 3  # only the new rate's runs begin at the beginning


def test_an_interrupt_between_two_sets_of_runs_has_nothing_to_save(tmp_path):
    options = {"epochs": 2, "slots": 6, "devices": 1}
    done = []
    with pytest.raises(Interrupted):
        small.study(tmp_path, small.grid(seeds=2), **options).train(
            Watcher(end=lambda run, history: done.append(run), interrupted=lambda: len(done) == 6)
        )
    assert len(small.study(tmp_path, small.grid(seeds=2), **options).train()) == 12


def test_a_checkpoint_of_another_study_is_refused_in_one_line(tmp_path):
    interrupt(small.study(tmp_path, small.grid(), epochs=8), 2)
    with pytest.raises(EnvironmentFault, match=r"another study \(max_epochs 8 there, 9 here\)") as refused:
        small.study(tmp_path, small.grid(), epochs=9).train()
    assert "\n" not in str(refused.value)
    assert workdir.read_json(tmp_path / "config.json")["settings"]["max_epochs"] == 8
    assert len(small.study(tmp_path, small.grid(), epochs=8).train()) == 6


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    study = small.study(tmp_path, small.grid(), epochs=8)
    interrupt(study, 2)
    interrupt(small.study(tmp_path, small.grid(), epochs=8), 2)
    steps = sorted((path for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()), key=lambda p: p.name)
    assert len(steps) == 2
    for path in steps[-1].rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    whole = by_run(small.study(tmp_path / "whole", small.grid(), epochs=8).train())
    with pytest.warns(UserWarning, match="is damaged; trying the one before"):
        resumed = by_run(small.study(tmp_path, small.grid(), epochs=8).train())
    for key, history in whole.items():
        assert_identical(history, resumed[key])


def test_when_no_checkpoint_can_be_read_the_error_says_what_to_do(tmp_path):
    interrupt(small.study(tmp_path, small.grid(), epochs=8), 2)
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(EnvironmentFault, match=r"can be read .* remove that folder") as refused,
    ):
        small.study(tmp_path, small.grid(), epochs=8).train()
    assert "\n" not in str(refused.value)


def test_a_damaged_run_is_named_set_aside_and_trained_again(tmp_path):
    whole = by_run(small.study(tmp_path, small.grid((0.01,)), epochs=2).train())
    first, second = run_files(tmp_path)
    damaged = first.read_bytes()[:100]
    first.write_bytes(damaged)
    with pytest.raises(EnvironmentFault, match=rf"{first.name} is damaged .*; the command of its study sets it aside"):
        load_runs(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    (tmp_path / "stats.json").write_bytes((tmp_path / "stats.json").read_bytes()[:50])
    with pytest.warns(UserWarning, match="is damaged") as told:
        again = by_run(small.study(tmp_path, small.grid((0.01,)), epochs=2).train())
    (line,) = (str(warning.message) for warning in told if first.name in str(warning.message))
    assert line.endswith(f"/damaged/{first.name}.damaged, and the run is trained again")
    assert (tmp_path / "damaged" / f"{first.name}.damaged").read_bytes() == damaged
    assert {path.name for path in (tmp_path / "damaged").glob("*.json.*")} == {
        f"{n}.json.damaged" for n in ("config", "stats")
    }
    assert run_files(tmp_path) == [first, second]
    assert again.keys() == whole.keys()
    for key, history in whole.items():
        assert_identical(history, again[key])
    assert workdir.read_config(tmp_path / "config.json")["settings"]["max_epochs"] == 2
    assert workdir.read_stats(tmp_path / "stats.json")["runs"] == 1


def test_after_the_clock_was_set_back_a_study_is_saved_and_goes_on(tmp_path, monkeypatch):
    tomorrow = time.time_ns() + 86_400_000_000_000
    with monkeypatch.context() as ahead:
        ahead.setattr(checkpoint.time, "time_ns", lambda: tomorrow)
        interrupt(small.study(tmp_path, small.grid((0.01,)), epochs=40), 2)
    before = interrupt(small.study(tmp_path, small.grid((0.01,)), epochs=40), 3)
    assert min(interrupt(small.study(tmp_path, small.grid((0.01,)), epochs=40), 1)) == max(before) + 1


def test_a_second_process_on_the_work_directory_is_refused(tmp_path):
    with (
        workdir.locked(tmp_path),
        pytest.raises(EnvironmentFault, match=rf"another process .*{os.getpid()}.* is at work there"),
    ):
        small.study(tmp_path, small.grid()).train()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(EnvironmentFault, match=r"cannot write .*\.parquet: the disk is full"):
        small.study(tmp_path, small.grid((0.01,)), epochs=2).train()
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize("error", [ValueError("RESOURCE_EXHAUSTED: writing"), OSError(errno.ENOSPC, "No space left")])
def test_a_full_disk_is_one_line_where_best_weights_are_written_too(error, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ocp.StandardCheckpointer, "save", full)
    with pytest.raises(EnvironmentFault, match=rf"^cannot write {tmp_path}/weights/a: the disk is full$"):
        weights.write(tmp_path / "weights" / "a", Variables({"w": np.zeros(2, np.float32)}, {}), {})


def test_a_work_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for check in (workdir.check, lambda path: small.study(path, small.grid()).train()):
        with pytest.raises(InputError, match=r"workdir=.*allowed is a folder that can be written"):
            check(tmp_path / "file")


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.txt"
    files.write_text(path, "old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(EnvironmentFault, match="Input/output error"):
        files.write_atomically(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


COMMAND = """
import sys; sys.path.insert(0, {tests!r})
import jax; jax.config.update("jax_platforms", "cpu"); jax.config.update("jax_num_cpu_devices", 2)
import small; from pathlib import Path
small.study(Path({folder!r}), small.grid(seeds=2), epochs=400, slots=4, checkpoint_minutes=0.01).train()
"""


def start(folder: Path) -> subprocess.Popen:
    code = COMMAND.format(tests=str(Path(__file__).parents[1] / "helpers"), folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_kill_9_and_the_store_equals_an_undisturbed_one(tmp_path, times):
    assert start(tmp_path / "whole").wait() == 0
    checkpoints = tmp_path / "killed" / "checkpoints"
    for nth in range(times):
        process = start(tmp_path / "killed")
        before = time.monotonic()
        while process.poll() is None and time.monotonic() - before < 60:
            if checkpoints.is_dir() and any(
                p.name.isdigit() and p.stat().st_mtime > time.time() - 1 for p in checkpoints.iterdir()
            ):
                break
            time.sleep(0.01)
        time.sleep(0.15 * nth)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed").wait() == 0
    whole, killed = (
        {path.name: pq.read_table(path) for path in (tmp_path / name / "runs").glob("*.parquet")}
        for name in ("whole", "killed")
    )
    assert len(whole) == 12
    assert whole.keys() == killed.keys()
    for name, table in whole.items():
        assert table.equals(killed[name]) or np.isnan(table["val_loss"]).any()
