"""Several orders of the data in one study: each run is that of a study with its data seed alone."""

import csv
import functools

import commands
import numpy as np
import own_studies
import pytest
from compared import assert_identical

import jaxopt_study as js
from experiments import momentum_grid
from experiments.command import results
from jaxopt_study.analysis.runs import by_configuration
from jaxopt_study.data import load
from jaxopt_study.grids.run import Run
from jaxopt_study.report import tables
from jaxopt_study.storage import workdir
from jaxopt_study.storage.store import load_runs, run_files


def learnable():
    """Three classes that a linear network tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = (rng.normal(size=(60, 4)) + 2 * np.eye(4)[labels]).astype(np.float32)
    return js.arrays(images[:48], labels[:48], images[48:], labels[48:])


def study(folder, data=None, **options):
    small = {"max_epochs": 2, "batch_size": 8, "slots": 4, "devices": 2, **options}
    given = {"grid": js.make_grid("sgd", learning_rate=[0.1, 0.2]), **small}
    return js.make_study(model=own_studies.Net(), data=data or own_studies.data(), workdir=folder, **given)


def test_each_order_gives_the_runs_and_fingerprints_of_a_study_of_its_own(tmp_path):
    several = study(tmp_path / "several", data_seeds=2)
    several.run()
    assert len(several.histories) == 4
    for order in range(2):
        alone = study(tmp_path / f"alone_{order}", data_seed=order)
        alone.run()
        assert {path.name for path in run_files(alone.folder)} <= {path.name for path in run_files(several.folder)}
        for run, history in alone.finished.items():
            assert_identical(history, several.finished[run._replace(data_seed=order)])
    first, second = [several.finished[several.runs[at]] for at in (0, 2)]
    assert not np.array_equal(first.curves["train_loss"], second.curves["train_loss"])


def test_the_first_order_is_what_the_store_has_of_a_study_without_data_seeds(tmp_path):
    plain = study(tmp_path)
    plain.run()
    several = study(tmp_path, data_seeds=2)
    assert len(several.pending()) == 2
    several.run()
    assert [history.data_seed for history in several.histories] == [0, 0, 1, 1]
    assert [history.data_seed for history in study(tmp_path).histories] == [None, None]
    table = load_runs(tmp_path)
    assert set(table["data_seed"].to_pylist()) == {None, 1.0}
    assert [len(runs) for runs in by_configuration(several.histories)] == [2, 2]
    assert tables.summary(several.histories).column("data_seed") == [0, 0, 1, 1]


def test_data_without_a_fixed_split_are_split_by_each_seed(tmp_path):
    with_splits = study(tmp_path, functools.partial(load, "digits", classes=["0", "1", "2"]), data_seeds=2)
    assert with_splits.data == {
        seed: load("digits", classes=["0", "1", "2"], split_seed=seed).fingerprint for seed in (0, 1)
    }
    fixed = study(tmp_path, data_seeds=2)
    assert len(set(fixed.data.values())) == 1
    assert fixed.datasets[1] is fixed.dataset


def of_size(split_seed):
    """30 examples to train on, or 16; their order matters to nothing here."""
    return own_studies.data(examples=34 if split_seed == 0 else 20)


def test_data_of_another_size_have_the_steps_of_their_own_study(tmp_path):
    several = study(tmp_path / "several", of_size, data_seeds=2)
    several.run()
    for order, steps in ((0, 4), (1, 2)):
        alone = study(tmp_path / f"alone_{order}", functools.partial(of_size, order), data_seed=order)
        alone.run()
        assert alone.program(alone.groups[0], "map").steps == steps
        for run, history in alone.finished.items():
            named = run._replace(data_seed=order)
            assert several.fingerprints[named] == alone.fingerprints[run]
            assert_identical(history, several.finished[named])


def test_a_batch_is_no_larger_than_the_smallest_of_them_and_all_are_of_one_kind(tmp_path):
    with pytest.raises(js.InputError, match=r"batch_size=20: allowed is a whole number from 1 to the 16 training"):
        study(tmp_path, of_size, data_seeds=2, batch_size=20)

    def wider(split_seed):
        images = np.zeros((20, 4 + split_seed), np.float32)
        return js.arrays(images[:16], np.arange(16) % 3, images[16:], np.arange(4) % 3)

    with pytest.raises(js.InputError, match=r"^data_seed=1: its data have inputs .*5.*; allowed are .*4.*, as"):
        study(tmp_path, wider, data_seeds=2)


def test_an_order_that_was_begun_goes_on_in_its_own(tmp_path):
    heard = []

    class Callback:
        def on_epoch(self, run, epoch, metrics):
            heard.append((run, epoch))

        def on_run_end(self, run, history):
            pass

    for _ in range(8):
        again = study(tmp_path, data_seeds=2, max_minutes=1e-6)
        again.run(Callback())
        if len(again.histories) == 4:
            break
    assert len(heard) == len(set(heard)) == 8
    assert workdir.read_stats(tmp_path / "stats.json")["epochs_trained"] == 8


def test_the_report_has_the_components_of_variance(tmp_path):
    several = study(tmp_path, learnable(), data_seeds=2, seeds=2, max_epochs=3)
    several.run()
    page = several.report().read_text()
    assert "order of the data, by configuration" in page
    assert (tmp_path / "tables" / "variance_components.csv").read_text().startswith("source,variance,sd,share,levels\n")


def test_a_command_trains_reports_and_reads_several_splits(tmp_path):
    grid = ("--learning_rates=0.05", "--momenta=0,0.9", "--data_seeds=2", f"--workdir={tmp_path}")
    assert commands.run(momentum_grid, *commands.TINY, *grid) == 0
    with (tmp_path / "summary.csv").open() as file:
        assert sorted(row["data_seed"] for row in csv.DictReader(file)) == ["0", "0", "1", "1"]
    assert len(set(workdir.read_config(tmp_path / "config.json")["data_seeds"].values())) == 2
    found = results.read([tmp_path])
    assert (len(found.histories), found.foreign) == (4, 0)


BAD = [
    ({"grid": [Run("sgd", (("learning_rate", 0.1),), 0, 3)]}, "grid: data_seed=3: allowed is None: data_seed and"),
    ({"grid": [Run("sgd", (("learning_rate", 0.1),), -1)]}, "seed=-1: allowed is a whole number from 0"),
    ({"data_seeds": 0}, "data_seeds=0: allowed is a whole number from 1"),
    ({"data_seeds": 2, "until": "decided"}, "data_seeds=2: not allowed with until"),
    ({"data_seeds": 2, "cluster": "local"}, "data_seeds=2: not allowed with cluster"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_what_several_orders_do_not_go_with_is_refused_in_a_line(tmp_path, options, message):
    with pytest.raises(js.InputError, match=f"^{message}"):
        study(tmp_path / "w", **options)
    assert not (tmp_path / "w").exists()
