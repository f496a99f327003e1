"""What is published: a folder that stands by itself, and nothing else in it lost."""

import contextlib
import csv
import errno
import json
import math
import shutil
import signal

import commands
import numpy as np
import pytest
import small

import jaxopt_study as js
from experiments import momentum_grid, report
from experiments.results import publish
from jaxopt_study.engine.strategy import processor
from jaxopt_study.storage import workdir as folders


def test_published_results_are_tables_figures_and_a_page_that_says_on_what(made, tmp_path):
    output = tmp_path / "published"
    output.mkdir()
    (output / "notes.md").write_text("kept")
    assert commands.run(publish, f"--workdir={made / 'momentum'}", f"--output={output}") == 0
    page = (output / "README.md").read_text()
    assert page.count("digits at 8 x 8 pixels, at most 2 epochs") == 3
    assert "2 runs" in page
    assert len(list(csv.DictReader((output / "claims.csv").open()))) == 43
    assert page.count("\n| ") == 2 * 2 + 7 + 43  # two tables
    assert list((output / "figures").glob("fig17*.png"))
    assert not list(output.rglob("*.svg"))
    assert json.loads((output / "config.json").read_text())["versions"]["jax"]
    assert (output / "notes.md").read_text() == "kept"
    assert commands.run(report, f"--workdir={output}", f"--output={tmp_path / 'again'}") == 0
    for table in ("summary.csv", "claims.csv"):
        assert (tmp_path / "again" / table).read_bytes() == (output / table).read_bytes()
    # A copy of it is trained further: what is in it already is not trained again.
    grid = [flag.replace("--momenta=0", "--momenta=0.25,0") for flag in commands.GRID]
    assert commands.run(momentum_grid, *commands.TINY, *grid, f"--workdir={output}") == 0
    assert json.loads((output / "stats.json").read_text())["runs"] == 3


def test_several_directories_are_published_as_one_and_nothing_there_is_lost(made, tmp_path, capsys):
    folders = [made / "momentum", made / "nesterov"]
    together = f"--workdir={','.join(map(str, folders))}"
    output = tmp_path / "published"
    assert commands.run(publish, together, f"--output={output}") == 0
    runs = {path.name for folder in folders for path in folder.glob("runs/*.parquet")}
    assert {path.name for path in output.glob("runs/*.parquet")} == runs
    config, stats = (json.loads((output / f"{name}.json").read_text()) for name in ("config", "stats"))
    assert "Not all of it is trained yet" not in (output / "README.md").read_text()
    assert len(config["grid"]) == len(runs) + 1  # a momentum of 0 is one run under two names
    assert set(config["experiments"]) == {"momentum_grid", "nesterov_grid"}
    told = [json.loads((folder / "stats.json").read_text()) for folder in folders]
    assert stats["epochs_trained"] == sum(each["epochs_trained"] for each in told)
    assert commands.run(publish, f"--workdir={made / 'momentum'}", f"--output={output}") == 2
    assert "allowed is a folder without runs of anything else" in capsys.readouterr().err
    assert commands.run(publish, f"--workdir={output}", f"--output={output}") == 2
    assert "allowed is a folder that is none of --workdir" in capsys.readouterr().err
    assert commands.run(publish, together, f"--output={tmp_path / 'other'}", "--weights") == 2
    assert "allowed is a study trained with --save_best_weights" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert {path.name for path in output.glob("runs/*.parquet")} == runs


def test_published_weights_are_loaded_and_name_no_place(tmp_path):
    workdir, output = tmp_path / "trained", tmp_path / "published"
    grid = ("--learning_rates=0.01", "--momenta=0.9", "--save_best_weights")
    assert commands.run(momentum_grid, *commands.TINY, *grid, f"--workdir={workdir}") == 0
    config, stats = folders.read_config(workdir / "config.json"), folders.read_stats(workdir / "stats.json")
    assert stats["parts"][0]["device_kind"] == processor()
    config["dataset"] = {**config["dataset"], "asked": {"image_size": 8, "data_dir": str(workdir)}}
    folders.write_json(workdir / "config.json", config)
    elsewhere = {**stats["parts"][0], "devices": 1, "device_kind": "another"}  # another machine went on with it
    folders.write_json(workdir / "stats.json", {**stats, "parts": [*stats["parts"], elsewhere]})
    assert commands.run(publish, f"--workdir={workdir}", f"--output={output}", "--weights") == 0
    images = np.zeros((1, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(*(js.load_model(each, model=small.MODEL)(images) for each in (output, workdir)))
    files = [path for path in output.rglob("*") if path.is_file()]
    assert [path for path in files if str(workdir).encode() in path.read_bytes()] == []
    assert folders.read_config(output / "config.json")["dataset"]["asked"] == {"image_size": 8}
    assert f"x {processor()}, 1 x another (" in (output / "README.md").read_text()


class StopsAfterARun:
    """Interrupts two epochs after the first run has ended."""

    def __init__(self):
        self.left = math.inf

    def on_epoch(self, run, epoch, metrics):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def on_run_end(self, run, history):
        self.left = min(self.left, 2)


def test_a_study_under_way_goes_on_from_what_is_published(tmp_path, monkeypatch, capsys):
    from experiments.command import flags

    def study(folder, *more):
        grid = ("--learning_rates=0.01", "--momenta=0,0.5,0.9", "--max_epochs=6", "--slots=1", "--devices=1")
        return commands.run(momentum_grid, *commands.TINY, *grid, f"--workdir={folder}", *more)

    workdir, output = tmp_path / "begun", tmp_path / "published"
    assert study(tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(flags, "watched", lambda study: contextlib.nullcontext(StopsAfterARun()))
        assert study(workdir, "--watch") == 130
    assert commands.run(publish, f"--workdir={workdir}", f"--output={output}", "--checkpoint") == 0
    assert len(list((output / "checkpoints").iterdir())) == 1
    assert not [path for path in output.rglob("*") if path.is_file() and str(workdir).encode() in path.read_bytes()]
    assert study(output) == 0
    assert (output / "summary.csv").read_bytes() == (tmp_path / "whole" / "summary.csv").read_bytes()
    begun, rest = (part["epochs_trained"] for part in folders.read_stats(output / "stats.json")["parts"])
    assert begun % 6 > 0  # of the run that was under way
    assert begun + rest == 3 * 6
    assert commands.run(publish, f"--workdir={output}", f"--output={tmp_path / 'other'}", "--checkpoint") == 2
    assert "--checkpoint=given, with 0 of them: allowed is one work directory with runs" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_of_somebody_else_are_neither_replaced_nor_removed(made, tmp_path, capsys):
    workdir, mine = f"--workdir={made / 'momentum'}", tmp_path / "mine"
    names = ("figures/photo.png", "figures/fig01_teaser.png", "checkpoints/model.ckpt", "paper/thesis.pdf")
    for name in (*names, "README.md", "paper/figures.tex"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("mine")
    before = tree(mine)
    for module, more, blocked in ((publish, [], "README.md"), (report, ["--paper"], "paper/figures.tex")):
        assert commands.run(module, workdir, f"--output={mine}", *more) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: {mine} holds {blocked}, which was not made by this command")
        assert told.count("\n") == 1
    assert tree(mine) == before
    for name in ("README.md", "paper/figures.tex", "checkpoints/model.ckpt"):
        (mine / name).unlink()
    assert commands.run(report, workdir, f"--output={mine}", "--paper") == 0
    assert commands.run(publish, workdir, f"--output={mine}") == 0
    assert commands.run(publish, workdir, f"--output={mine}") == 0
    assert [(mine / name).read_text() for name in names if "ckpt" not in name] == ["mine"] * 3
    assert not list((mine / "figures").glob("*.svg"))


def test_a_study_is_not_published_over(made, tmp_path, capsys):
    workdir, study = f"--workdir={made / 'momentum'}", commands.copied(made, tmp_path, "momentum") / "momentum"
    before = tree(study)
    assert commands.run(publish, workdir, f"--output={study}") == 2
    assert "allowed is no study's own work directory; it holds runs/" in capsys.readouterr().err
    assert tree(study) == before
    for path in (study / "runs").iterdir():
        path.unlink()
    before = {name: content for name, content in before.items() if not name.startswith("runs/")}
    (study / "checkpoints" / "7").mkdir(parents=True)
    (study / "checkpoints" / "7" / "table").write_text("under way")
    assert commands.run(publish, workdir, f"--output={study}") == 2
    assert "it holds checkpoints/7/table" in capsys.readouterr().err
    shutil.rmtree(study / "checkpoints")
    assert commands.run(publish, workdir, f"--output={study}") == 1  # it has a grid of its own
    assert f"{study} holds config.json, which was not made by" in capsys.readouterr().err
    assert tree(study) == before


def test_where_another_process_is_at_work_nothing_is_published(made, tmp_path, capsys):
    output = tmp_path / "output"
    with folders.locked(output):
        assert commands.run(publish, f"--workdir={made / 'momentum'}", f"--output={output}") == 1
    assert capsys.readouterr().err.startswith(f"error: --output={output}: another process (process ")
    assert [path.name for path in output.iterdir()] == [".lock"]


def test_a_folder_that_was_published_before_there_was_a_note_is_published_again(made, tmp_path):
    workdir, output = f"--workdir={made / 'momentum'}", tmp_path / "published"
    assert commands.run(publish, workdir, f"--output={output}") == 0
    first = tree(output)
    for hidden in ("made.json", ".lock"):
        (output / hidden).unlink()
    assert commands.run(publish, workdir, f"--output={output}") == 0
    assert tree(output) == first


@pytest.mark.parametrize("name", ["runs", "figures", ""])
def test_a_file_where_a_folder_is_to_be_is_named(name, made, tmp_path, capsys):
    output = tmp_path / "output"
    output.mkdir()
    path = output / name if name else tmp_path / "file"
    path.write_text("mine")
    at = output if name else path
    for module in (publish,) if name == "runs" else (publish, report):
        assert commands.run(module, f"--workdir={made / 'momentum'}", f"--output={at}") > 0
        told = capsys.readouterr().err
        assert told.startswith(f"error: {output} holds {name}, which was not made" if name else f"error: --output={at}")
        assert told.count("\n") == 1
    assert tree(output) == ({name: b"mine"} if name else {})


def test_a_full_disk_is_told_and_leaves_nothing(made, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jaxopt_study.storage.made.shutil.copy", full)
    output = tmp_path / "new" / "output"
    assert commands.run(publish, f"--workdir={made / 'momentum'}", f"--output={output}") == 1
    assert capsys.readouterr().err == f"error: cannot write {output}: the disk is full\n"
    assert not (tmp_path / "new").exists()


def test_what_is_not_trained_yet_is_said(made, tmp_path, capsys):
    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    gone = next(workdir.glob("runs/*.parquet"))
    gone.unlink()
    output = tmp_path / "published"
    assert commands.run(publish, f"--workdir={workdir}", f"--output={output}") == 0
    told = capsys.readouterr().out
    assert told == f"{output}: README.md, tables, figures, 1 run; 1 not trained yet\n"
    assert "1 run to come: momentum (learning_rate 0.01" in (output / "README.md").read_text()


def test_nothing_is_published_from_a_folder_without_runs(tmp_path, capsys):
    assert commands.run(publish, f"--workdir={tmp_path}", f"--output={tmp_path / 'out'}") == 2
    assert capsys.readouterr().err.startswith("error: --workdir")
    assert not (tmp_path / "out").exists()


def test_the_study_of_a_users_own_is_not_published_as_the_articles(made, tmp_path, capsys):
    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    config = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps({**config, "own": True}))
    assert commands.run(publish, f"--workdir={workdir}", f"--output={tmp_path / 'out'}") == 2
    assert "allowed are the article's experiments" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
