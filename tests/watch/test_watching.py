import importlib.util
import os
import signal
import struct

import commands
import numpy as np
import own_studies
import pytest
import small
from plot_runs import run as made_run

import jaxopt_study as js
from experiments import report
from jaxopt_study.grids.run import make_run
from jaxopt_study.history import CURVES
from jaxopt_study.storage import workdir
from jaxopt_study.watch import callbacks as watching
from jaxopt_study.watch.progress import Deadline, TrainingProgress, watched

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2") if importlib.util.find_spec("tensorboardX") else None
needs_writer = pytest.mark.skipif(event_pb2 is None, reason="tensorboardX is not installed")
RUN = make_run("momentum", {"learning_rate": 10**-2.5, "momentum": 0.9}, 3)


class Heard:
    def __init__(self):
        self.epochs, self.ends = [], []

    def on_epoch(self, run, epoch, metrics):
        self.epochs.append((run, epoch, metrics))

    def on_run_end(self, run, history):
        self.ends.append((run, history))


def events(folder):
    """The events of the one file in a folder, their lengths as the TFRecord format has them."""
    (path,) = folder.iterdir()
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        found.append(event_pb2.Event.FromString(data[at + 12 : at + 12 + length]))
        at += 12 + length + 4
    return found


def scalars(found):
    return [(e.step, v.tag, v.simple_value) for e in found for v in e.summary.value if v.HasField("simple_value")]


def test_a_callback_hears_every_epoch_and_every_end_once(tmp_path):
    heard, runs = Heard(), small.grid(rates=(0.01, 0.1))
    with watched([heard]) as watcher:
        histories = small.study(tmp_path, runs, epochs=3).train(watcher)
    assert sorted((run, epoch) for run, epoch, _ in heard.epochs) == sorted((r, e) for r in runs for e in (1, 2, 3))
    assert {run for run, _ in heard.ends} == set(runs)
    assert len(heard.ends) == len(runs)
    for run, epoch, metrics in heard.epochs:
        history = histories[runs.index(run)]
        assert metrics == {name: history.curves[name][epoch - 1] for name in CURVES}


def test_a_signal_asks_to_stop_and_is_forgotten_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with watched() as watcher:
        assert not watcher.interrupted()
        os.kill(os.getpid(), signal.SIGTERM)
        assert watcher.interrupted()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_deadline_is_near_when_the_epoch_under_way_and_one_more_would_pass_it():
    times = iter([0, 50, 60, 70, 78, 79, 100, 130])  # seconds; a compilation, epochs of 10, one of 30
    deadline = Deadline(100 / 60, clock=lambda: next(times))
    assert [deadline.near() for _ in range(5)] == [False, False, False, False, False]
    assert [deadline.near() for _ in range(2)] == [True, True]


def test_no_deadline_is_never_near():
    assert not Deadline(None, clock=lambda: 1e9).near()


def test_a_second_round_of_runs_is_counted_by_itself():
    bar = TrainingProgress()
    for stored, seed in ((0, 0), (1, 1)):
        bar.begin(stored + 1, stored, {RUN._replace(seed=seed): 2})
        for number in (1, 2):
            bar.epoch(RUN._replace(seed=seed), number, {"val_loss": 0.5})
        assert (bar.epochs, bar.expected) == (2, 2)


def test_when_the_time_is_over_a_line_says_what_is_left_and_the_same_goes_on(tmp_path, capsys):
    def study():
        return own_studies.js.make_study(
            model=own_studies.Net(), data=own_studies.data(), grid=js.make_grid("sgd", learning_rate=[0.1, 0.2, 0.3]),
            max_epochs=4, slots=2, max_minutes=1e-6, batch_size=8, workdir=tmp_path,
        )  # fmt: skip

    epochs = []
    for _ in range(20):
        study().run(heard := Heard())
        epochs += [(run, epoch) for run, epoch, _ in heard.epochs]
        told = [line for line in capsys.readouterr().err.splitlines() if "are over" in line]
        if not told:
            break
        assert told[0].endswith("epochs are left, run() goes on from here")
    assert len(epochs) == len(set(epochs)) == 12
    assert len(study().histories) == 3
    assert workdir.read_stats(tmp_path / "stats.json")["epochs_trained"] == 12


def test_runs_have_names_of_their_own():
    assert watching.run_name(RUN) == "momentum/learning_rate=0.0031622776,momentum=0.9,seed=3"
    runs = [make_run("adam", {"learning_rate": 0.1, "eps": eps}, seed) for eps in (1e-7, 1e-8) for seed in (0, 1)]
    names = [watching.run_name(run) for run in runs]
    assert len(set(names)) == len(names)
    assert names[0] == "adam/learning_rate=0.1,b1=0.9,b2=0.999,seed=0"


@needs_writer
def test_an_event_file_a_run_has_its_curves_and_hyperparameters(tmp_path):
    board = watching.TensorBoard(tmp_path)
    assert not list(tmp_path.iterdir())
    for epoch, loss in ((1, 0.5), (2, float("nan"))):
        board.on_epoch(RUN, epoch, {"train_loss": loss, "val_loss": 0.25})
    board.on_run_end(RUN, made_run(learning_rate=0.1, momentum=0.9, epochs=2, low=0.3))
    found = events(tmp_path / watching.run_name(RUN))
    told = scalars(found)
    assert (1, "train_loss", 0.5) in told
    assert np.isnan(next(value for step, tag, value in told if (step, tag) == (2, "train_loss")))
    assert next(value for _, tag, value in told if tag == "min_val_loss") == pytest.approx(0.52)
    content = {v.tag: v.metadata.plugin_data for e in found for v in e.summary.value if v.metadata.plugin_data.content}
    assert set(content) == {"_hparams_/session_start_info", "_hparams_/session_end_info"}
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    begin = HParamsPluginData.FromString(content["_hparams_/session_start_info"].content).session_start_info.hparams
    assert begin["optimizer"].string_value == "momentum"
    assert begin["momentum"].number_value == 0.9
    assert begin["seed"].number_value == 3


@needs_writer
def test_tensorboard_itself_reads_scalars_and_hyperparameters(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.plugins.hparams import metadata

    history = made_run("adam", learning_rate=0.01, b1=0.9)
    watching.TensorBoard(tmp_path).fill(watching.by_run([history]))
    (folder,) = (tmp_path / "adam").iterdir()
    read = reader.EventAccumulator(str(folder))
    read.Reload()
    for name, curve in history.curves.items():
        told = [(event.step, event.value) for event in read.Scalars(name)]
        assert told == [(at, value) for at, value in enumerate(curve.tolist(), 1) if not np.isnan(value)]
    begun = read.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    numbers = metadata.parse_session_start_info_plugin_data(begun).hparams
    assert numbers["optimizer"].string_value == "adam"
    assert {name: numbers[name].number_value for name in ("learning_rate", "b1", "seed")} == {
        "learning_rate": 0.01, "b1": 0.9, "seed": 0
    }  # fmt: skip


@needs_writer
def test_what_is_missing_of_finished_runs_is_filled_in_and_nothing_else(tmp_path):
    rates, folder = (0.1, 0.2, 0.3), tmp_path / watching.run_name(RUN)
    runs = {RUN._replace(seed=s): made_run(seed=s, learning_rate=r, epochs=8) for s, r in enumerate(rates)}
    runs |= {RUN: made_run(learning_rate=0.4, epochs=8), RUN._replace(seed=9): made_run(status="failed", epochs=0)}
    late = watching.TensorBoard(tmp_path)
    late.on_epoch(RUN, 5, {"val_loss": 0.5})  # nobody listened before
    late.on_run_end(RUN, runs[RUN])
    assert watching.TensorBoard(tmp_path).fill(runs) == 4
    told = scalars(events(folder))
    curve = runs[RUN].curves["val_loss"]
    assert [(step, np.float32(v)) for step, tag, v in told if tag == "val_loss"] == list(enumerate(curve, 1))
    (path,) = folder.iterdir()
    assert watching.TensorBoard(tmp_path).fill(runs) == 0
    path.write_bytes(path.read_bytes()[:-30])  # killed while it was written
    assert watching.TensorBoard(tmp_path).fill(runs) == 1
    assert scalars(events(folder)) == told


@needs_writer
def test_a_rule_of_another_process_has_the_name_that_it_had_there(tmp_path):
    runs = watching.by_run([made_run("mine", learning_rate=rate, eps=1e-8) for rate in (0.1, 0.2)])
    watching.TensorBoard(tmp_path).fill(runs)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "learning_rate=0.1,seed=0", "learning_rate=0.2,seed=0"
    ]  # fmt: skip
    watching.TensorBoard(tmp_path / "inner").fill(watching.by_run([made_run("../../above/x", learning_rate=0.1)]))
    assert [path.name for path in (tmp_path / "inner").iterdir()] == ["__.._above_x"]


@needs_writer
def test_a_finished_study_is_written_when_it_is_asked_for_again_and_by_the_command(tmp_path, capsys):
    asked = {"model": own_studies.Net(), "data": own_studies.data(), "grid": js.make_grid("sgd", learning_rate=0.1)}
    study = js.make_study(**asked, batch_size=8, workdir=tmp_path / "w", tensorboard=True, seeds=2)
    for run in study.runs:
        study.store.write(study.fingerprints[run], made_run("sgd", seed=run.seed, learning_rate=0.1, epochs=3))
    study.run()
    assert "2 runs that were trained before are now in" in capsys.readouterr().err
    names = ["learning_rate=0.1,seed=0", "learning_rate=0.1,seed=1"]
    assert sorted(path.name for path in (tmp_path / "w" / "tensorboard" / "sgd").iterdir()) == names
    steps = [step for step, tag, _ in scalars(events(tmp_path / "w" / "tensorboard" / "sgd" / names[0]))]
    assert set(steps) == {1, 2, 3}
    assert commands.run(report, f"--workdir={tmp_path / 'w'}", "--tensorboard") == 0
    assert "2 runs, 0 of them written now" in capsys.readouterr().out


@needs_writer
def test_epochs_before_an_interruption_that_are_trained_again_are_hidden(tmp_path):
    board = watching.TensorBoard(tmp_path)
    board.on_epoch(RUN, 5, {"val_loss": 0.5})
    board.on_run_end(RUN, made_run(learning_rate=0.1, momentum=0.9))
    starts = [e for e in events(tmp_path / watching.run_name(RUN)) if e.HasField("session_log")]
    assert [(e.step, e.session_log.status) for e in starts] == [(5, event_pb2.SessionLog.START)]
