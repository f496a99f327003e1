import csv
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import commands
import pytest
from made_runs import GRIDS

from experiments import __main__ as listing
from experiments import compare, momentum_grid, replicate, sgd_learning_rates
from experiments.article import facts as article
from experiments.command import experiment as catalogue
from experiments.command import results
from experiments.command.results import configuration
from jaxopt_study.grids.run import product

RATE, MOMENTA = "--learning_rates=0.01", "--momenta=0,0.9"
TABLE = [
    # experiment, flags, computations, figures
    ("sgd_learning_rates", ("--learning_rates=0.01,0.1",), 2, {5, 6, 7}),
    ("momentum_grid", (RATE, MOMENTA), 2, {9, 11, 12, 13, 14, 17}),
    ("momentum_formulations", (RATE, MOMENTA), 4, {19, 20}),
    ("nesterov_grid", ("--learning_rates=0.001", "--momenta=0,0.95,0.99"), 5, {22, 23, 24, 25, 26}),
    ("rmsprop_grid", ("--learning_rates=0.001,0.03", "--decays=0,0.9"), 4, {28, 30, 31, 32}),
    ("adam_learning_rates", ("--learning_rates=0.001,0.1",), 2, {34, 35}),
    ("adam_betas", ("--b1s=0.5,0.9", "--b2s=0.999"), 2, {36, 37}),
    ("adagrad_learning_rates", ("--learning_rates=0.001,0.316",), 4, {39, 40, 41, 42}),
    ("cyclical_learning_rate", ("--step_sizes=1,2",), 2, {43, 44}),
    ("compare", (), 8, {45, 46, 47, 48, 49}),
]


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def numbers(folder):
    return {int(path.name[3:5]) for path in (folder / "figures").glob("fig*.svg")}


@pytest.mark.parametrize(("name", "flags", "computations", "figures"), TABLE)
def test_an_experiment_leaves_runs_tables_figures_verdicts_and_a_report(
    name, flags, computations, figures, tmp_path, capsys
):
    module = importlib.import_module(f"experiments.{name}")
    workdir = tmp_path / "w"
    assert commands.run(module, *commands.TINY, *flags, f"--workdir={workdir}") == 0
    assert len(list((workdir / "runs").glob("*.parquet"))) == len(rows(workdir / "summary.csv")) == computations
    assert len(rows(workdir / "claims.csv")) == 43
    assert numbers(workdir) == figures
    report = (workdir / "report.html").read_text()
    assert all(f'id="fig{number:02d}_' in report for number in figures)
    config = json.loads((workdir / "config.json").read_text())
    assert list(config["experiments"]) == [name]
    several = {"importance.csv"} if name == "rmsprop_grid" else set()  # the others have one axis of more than one value
    assert {path.name for path in (workdir / "tables").iterdir()} == several | {
        "best_runs.csv", "best_runs.tex", "claims.tex", "summary.tex", "tuning_curves.csv",
    }  # fmt: skip
    told = capsys.readouterr()
    assert str(workdir) in told.out
    verdicts = {row["id"]: row["verdict"] for row in rows(workdir / "claims.csv")}
    assert verdicts.pop("A2") in ("does not apply", "undecided")  # an identity of two rules, on any data
    assert set(verdicts.values()) == {"does not apply"}  # digits are no photographs
    assert "contradicted" not in told.out


@pytest.mark.parametrize("experiment", catalogue.grids(), ids=lambda each: each.name)
def test_the_default_axes_are_the_articles_grid(experiment):
    ours = {configuration(r.optimizer, dict(r.hyperparameters)) for r in experiment.make_runs(experiment.defaults, 1)}
    grids = GRIDS[experiment.name]
    theirs = {
        configuration(run.optimizer, dict(run.hyperparameters))
        for each in grids
        for run in product(each.optimizer, each.axes, 1)
    }
    assert theirs <= ours
    if experiment.name != "momentum_formulations":  # which adds the matched rates
        assert ours == theirs


def test_an_experiment_opens_with_its_question_and_its_command():
    for name in (*catalogue.NAMES, "replicate"):
        module = importlib.import_module(f"experiments.{name}")
        assert module.__doc__.split("\n")[0].split("(")[0].strip().endswith("?"), name
        assert f"python -m experiments.{name}" in module.__doc__
        assert "Expected" in module.__doc__


def test_replicate_trains_each_computation_once_and_plain_sgd_as_momentum():
    runs = list(dict.fromkeys(replicate.EXPERIMENT.make_runs({}, 2)))
    first = {}
    for run in runs:
        first.setdefault((configuration(run.optimizer, dict(run.hyperparameters)), run.seed), run)
    assert len(first) == 2 * 123
    assert {run.optimizer for run in first.values()} == {
        "momentum", "momentum_ema", "nesterov", "rmsprop", "adam", "adagrad", "cyclical",
    }  # fmt: skip


def test_replicate_leaves_all_figures_and_all_verdicts(tmp_path):
    flags = (*commands.TINY, "--max_epochs=1", f"--workdir={tmp_path}")
    assert commands.run(replicate, *flags) == 0
    assert len(rows(tmp_path / "summary.csv")) == len(list((tmp_path / "runs").glob("*.parquet"))) == 123
    assert len(rows(tmp_path / "claims.csv")) == 43
    first = {*range(5, 8), 9, *range(11, 18), 19, 20, *range(22, 27), 28, 30, 31, 32, *range(34, 38)}
    assert numbers(tmp_path) == first | {*range(39, 50)}
    assert set(json.loads((tmp_path / "config.json").read_text())["experiments"]) == set(replicate.EXPERIMENT.parts)


def test_a_second_experiment_in_the_same_directory_trains_only_what_is_new(tmp_path, capsys):
    there = f"--workdir={tmp_path}"
    assert commands.run(sgd_learning_rates, *commands.TINY, "--learning_rates=0.01,0.1", there) == 0
    assert commands.run(momentum_grid, *commands.TINY, RATE, MOMENTA, there) == 0
    assert "2 runs, 1 of them already in the store" in capsys.readouterr().err
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["experiments"] == {
        "sgd_learning_rates": {"learning_rates": [0.01, 0.1]},
        "momentum_grid": {"learning_rates": [0.01], "momenta": [0, 0.9]},
    }
    assert numbers(tmp_path) == {5, 6, 7, 9, 11, 12, 13, 14, 17}
    assert len(rows(tmp_path / "summary.csv")) == 3


def test_a_command_reads_nothing_of_what_it_has_just_trained(tmp_path, monkeypatch):
    from experiments import momentum_grid

    monkeypatch.setattr(results, "read_run", lambda path: pytest.fail(f"{path} was read"))
    assert commands.run(momentum_grid, *commands.TINY, RATE, "--momenta=0.9", f"--workdir={tmp_path}") == 0
    assert len(rows(tmp_path / "summary.csv")) == 1
    assert json.loads((tmp_path / "config.json").read_text())["own"] is False


def test_compare_takes_the_best_of_what_the_directory_holds(tmp_path):
    there = f"--workdir={tmp_path}"
    assert commands.run(sgd_learning_rates, *commands.TINY, "--learning_rates=0.02,0.000001", there) == 0
    assert commands.run(compare, *commands.TINY, there) == 0
    plain = [row for row in rows(tmp_path / "summary.csv") if row["optimizer"] == "sgd"]
    assert sorted(float(row["learning_rate"]) for row in plain) == [0.000001, 0.01, 0.02]


def test_figures_that_are_not_drawn_any_more_are_removed(tmp_path):
    for rate in ("0.01", "0.001"):
        flags = (*commands.TINY, f"--learning_rates={rate}", MOMENTA, f"--workdir={tmp_path}")
        assert commands.run(momentum_grid, *flags) == 0
    assert all("lr0.01" not in path.name for path in (tmp_path / "figures").iterdir())
    assert 15 in numbers(tmp_path)


def test_the_command_of_the_readme_works_as_it_is_typed(tmp_path):
    flags = [*commands.TINY, "--max_epochs=1", "--learning_rates=0.01", "--tensorboard", f"--workdir={tmp_path / 'w'}"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-m", "experiments.sgd_learning_rates", *flags],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "w" / "report.html").exists()
    assert len(list((tmp_path / "w" / "tensorboard").rglob("events.out.tfevents.*"))) == 1


def test_a_chapter_waits_neither_for_matplotlib_nor_for_the_statistics_and_imports_no_other_chapter():
    for name in catalogue.NAMES:
        text = Path(importlib.import_module(f"experiments.{name}").__file__).read_text()
        assert not re.findall(rf"^from experiments import|^from experiments\.({'|'.join(catalogue.NAMES)})", text, re.M)
    code = (
        "import sys; from experiments.command import experiment; experiment.chapters(); "
        "sys.exit(bool({'matplotlib', 'scipy.stats'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compare_trains_the_articles_best_whatever_the_directory_holds(tmp_path):
    there = f"--workdir={tmp_path}"
    assert commands.run(sgd_learning_rates, *commands.TINY, "--max_epochs=1", "--learning_rates=0.02", there) == 0
    assert commands.run(compare, *commands.TINY, "--max_epochs=1", "--best_of=article", there) == 0
    trained = [(row["optimizer"], row.get("learning_rate")) for row in rows(tmp_path / "summary.csv")]
    plain = sorted(float(rate) for optimizer, rate in trained if optimizer == "sgd")
    assert plain == pytest.approx([0.01, 0.02, 10**-1.5])
    assert [rule for rule, _ in trained if rule != "sgd"] == [run.optimizer for run in article.BEST_RUNS[1:]]


def test_the_list_of_experiments_has_each_with_its_question(capsys):
    listing.main()
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in told][: len(catalogue.NAMES)] == [f"experiments.{n}" for n in catalogue.NAMES]
    assert len(told) == len(catalogue.NAMES) + 5  # branching, optimizers_2026, replicate, report, suite
    assert all("?" in line for line in told[: len(catalogue.NAMES)])
