"""Several problems with one command: what it trains, judges, leaves and goes on from."""

import csv
import gzip
import json

import commands
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

import jaxopt_study as js
from experiments import momentum_grid, optimizers_2026
from experiments.command import flags as of_experiments
from experiments.suite import __main__ as suite
from experiments.suite import command
from experiments.suite.problems import HERE, PROBLEMS, SUITE, characters, table

TINY = ("--problems=table", "--optimizers=sgd,adam", "--learning_rates=0.01,0.1", "--seeds=2", "--max_epochs=3")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    assert commands.run(suite, *TINY, f"--workdir={folder}") == 0
    return folder


def test_the_command_leaves_a_verdict_with_tables_figures_and_a_page(trained, capsys):
    verdicts = {row["optimizer"]: row for row in rows(trained / "over_problems.csv")}
    assert set(verdicts) == {"sgd", "adam"}
    assert verdicts["sgd"]["loss_ratio"] == "1.0"
    assert float(verdicts["adam"]["loss_ratio_low"]) < float(verdicts["adam"]["loss_ratio"])
    again = js.over_problems({"table": trained / "table"}, reference="sgd")
    assert again.table.to_pylist()[0]["optimizer"] == next(iter(verdicts))
    assert float(verdicts["adam"]["rank"]) == next(s.rank.value for s in again.standings if s.optimizer == "adam")
    assert {row["problem"] for row in rows(trained / "tuning_curves.csv")} == {"table"}
    page = (trained / "README.md").read_text()
    for figure in ("over_problems", "performance_profiles", "tuning_curves_table"):
        assert f"figures/{figure}.png" in page
        assert (trained / "figures" / f"{figure}.png").exists()
    assert "8 runs of 3 epochs" in page
    assert "Not trained here: `digits_cnn`, `digits_mlp`, `characters`, `cats_vs_dogs_32`" in page
    assert "At equal time" not in page  # no cost was measured


def test_the_same_command_trains_nothing_again_and_says_it_all_in_a_line(trained, capsys):
    files = {path: path.read_bytes() for path in (trained / "table" / "runs").iterdir()}
    before = (trained / "over_problems.csv").read_bytes()
    assert commands.run(suite, *TINY, f"--workdir={trained}", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["command"], told["status"], told["runs"], told["finished"]) == ("suite", 0, 8, 8)
    assert set(told["among_the_best"]) <= {"sgd", "adam"}
    assert {row["problem"] for row in told["best"]} == {"table"}
    assert str(trained / "over_problems.csv") in told["files"]
    assert {path: path.read_bytes() for path in (trained / "table" / "runs").iterdir()} == files
    assert (trained / "over_problems.csv").read_bytes() == before


def test_what_would_be_trained_is_said_and_the_small_part_goes_where_it_is_asked_to(trained, tmp_path, capsys):
    assert commands.run(suite, *TINY, f"--workdir={trained}", "--dry_run") == 0
    assert "table: 8 runs of 3 epochs, 8 of them finished" in capsys.readouterr().out
    assert commands.run(suite, *TINY, f"--workdir={trained}", f"--output={tmp_path}") == 0
    assert (tmp_path / "over_problems.csv").read_bytes() == (trained / "over_problems.csv").read_bytes()
    assert not list(tmp_path.rglob("*.svg"))
    assert not (tmp_path / "table").exists()


def test_of_a_study_that_is_not_finished_is_told_how_far_it_is(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "train", lambda studies: None)  # the time is over at once
    more = [flag.replace("=2", "=3") if flag.startswith("--seeds") else flag for flag in TINY]
    assert commands.run(suite, *more, f"--workdir={trained}", f"--output={tmp_path}", "--max_minutes=1") == 0
    assert "table: 8 of 12 runs are finished" in capsys.readouterr().out
    assert commands.run(suite, *TINY, f"--workdir={tmp_path / 'new'}", "--max_minutes=1") == 0
    assert "the time was over before a run was finished" in capsys.readouterr().out


def defined(define):
    with flagsaver.flagsaver():
        before = {*flags.FLAGS}
        define()
        return {*flags.FLAGS} - before


def test_it_has_the_flags_of_every_experiment_but_for_data_and_network():
    ours = defined(lambda: command.define(suite.COMPARISON))
    theirs = defined(lambda: of_experiments.define(momentum_grid.EXPERIMENT))
    of_problems = {"dataset", "classes", "image_size", "train_examples", "val_examples", "leave_out_broken"}
    of_problems |= {"notebook_model", "activations", "kernels"}
    assert theirs - ours == {"preset", "momenta", *of_problems}
    assert {"where", "until", "cluster", "watch", "json", "dry_run", "grid"} <= ours


def asked(tmp_path, *arguments):
    """The runs of the command."""
    with flagsaver.flagsaver():
        command.define(suite.COMPARISON)
        flags.FLAGS(["suite", f"--workdir={tmp_path}", *arguments])
        return command.runs_of(suite.COMPARISON)


def test_runs_are_left_out_sampled_and_said_in_a_file_as_of_every_experiment(tmp_path):
    assert len(asked(tmp_path, *TINY)) == 8
    left = asked(tmp_path, *TINY, "--where=learning_rate < 0.1 or optimizer != 'adam'")
    assert [(run.optimizer, dict(run.hyperparameters)["learning_rate"]) for run in left[::2]] == [
        ("sgd", 0.01), ("sgd", 0.1), ("adam", 0.01),
    ]  # fmt: skip
    sampled = asked(tmp_path, *TINY, "--learning_rates=1e-3:1e-1:log", "--samples=3")
    rates = {dict(run.hyperparameters)["learning_rate"] for run in sampled if run.optimizer == "sgd"}
    assert len(rates) == 3
    assert all(1e-3 <= rate <= 1e-1 for rate in rates)
    file = tmp_path / "grid.toml"
    file.write_text('[[grid]]\noptimizer = ["sgd", "lion"]\naxes.learning_rate = [0.01]\n')
    runs = asked(tmp_path, f"--grid={file}", "--seeds=1")
    assert [(run.optimizer, run.seed) for run in runs] == [("sgd", 0), ("lion", 0)]


def test_the_flags_of_training_reach_every_study(tmp_path):
    given = ["--until=decided", "--max_seeds=7", "--nodiagnostics", "--matmul_precision=bfloat16", "--data_seed=3"]
    with flagsaver.flagsaver():
        command.define(suite.COMPARISON)
        flags.FLAGS(["suite", *given])
        study = command.study_of("table", command.runs_of(suite.COMPARISON), str(tmp_path))
    assert (study.execution.until, study.execution.max_seeds) == ("decided", 7)
    assert (study.settings.diagnostics, study.settings.matmul_precision) == (False, "bfloat16")
    assert (study.settings.max_epochs, study.settings.patience, study.settings.batch_size) == (40, 40, 32)
    assert (study.dataset.train_images != table().train_images).any()  # another split
    assert len({run.seed for run in study.runs}) == 3


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--data_seeds=2", "--data_seeds=2: not allowed over problems"),
        ("--where=learning_rate > 1", "--where=learning_rate > 1: none of the 8 runs is left"),
        ("--problems=", "--problems=: allowed are digits_cnn, digits_mlp, table"),
        ("--problems=table,", "--problems=: allowed are digits_cnn, digits_mlp, table"),
        ("--optimizers=", "--optimizers=: allowed are names of rules, such as sgd"),
        ("--problems=tables", "--problems=tables: allowed are digits_cnn, digits_mlp, table"),
        ("--optimizers=sdg", "sdg"),
        ("--optimizers=cyclical", "--optimizers=cyclical: allowed are rules with a learning_rate"),
        ("--reference=lion", "--reference=lion: allowed are the rules compared: sgd, adam"),
        ("--learning_rates=fast", "--learning_rates=fast"),
        ("--seeds=0", "seeds"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line(flag, told, tmp_path, capsys):
    assert commands.run(suite, *TINY, f"--workdir={tmp_path / 'w'}", flag) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert told in line
    assert not (tmp_path / "w").exists()


def test_the_problems_are_those_they_are_said_to_be():
    assert SUITE == ("digits_cnn", "digits_mlp", "table", "characters")
    text = characters()
    assert text.train_images.shape[1:] == text.train_labels.shape[1:] == (32,)
    assert (text.train_images[:, 1:] == text.train_labels[:, :-1]).all()
    assert "".join(text.classes[code].strip("'") for code in text.train_images[0]).isprintable()
    assert PROBLEMS["characters"].model(text).letters == len(text.classes)


def test_the_table_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.datasets")
    theirs = sklearn.load_diabetes(scaled=False)
    with gzip.open(HERE / "diabetes.csv.gz", "rt") as file:
        ours = np.loadtxt(file, delimiter=",")
    np.testing.assert_array_equal(ours, np.column_stack([theirs.data, theirs.target]))
    data = table()
    assert len(data.train_labels) + len(data.val_labels) == len(ours)
    np.testing.assert_allclose(np.concatenate([data.train_images, data.val_images]).mean(0), 0, atol=1e-6)


def test_the_rules_of_2026_can_be_asked_for_by_name(tmp_path, capsys):
    flags = ("--problems=table", "--optimizers=adamw,lion_cosine", "--dry_run", f"--workdir={tmp_path / 'w'}")
    assert commands.run(optimizers_2026, *flags) == 0
    assert "table: 60 runs of 40 epochs, 0 of them finished" in capsys.readouterr().out
    assert commands.run(optimizers_2026, *flags, "--optimizers=sgd") == 2
    assert "--optimizers=sgd: allowed are momentum, adamw" in capsys.readouterr().err
