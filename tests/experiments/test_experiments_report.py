import csv
import json
import os
import re
import subprocess
import sys

import commands

from experiments import adam_betas, momentum_grid, nesterov_grid, report


def contents(folder):
    made_again = ("report.html", "summary.csv", "claims.csv")
    paths = [folder / name for name in made_again] + [
        path for name in ("tables", "figures") for path in (folder / name).iterdir()
    ]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def summary(folder):
    with (folder / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_store_alone_gives_the_same_files_without_a_device(made, tmp_path):
    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    before = contents(workdir)
    for path in before:
        (workdir / path).unlink()
    done = subprocess.run(
        [sys.executable, "-m", "experiments.report", f"--workdir={workdir}", "--paper"],
        env={**os.environ, "JAX_PLATFORMS": "none such"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(workdir) == before


def test_several_directories_are_reported_on_together(made, tmp_path):
    folder = commands.copied(made, tmp_path, "momentum", "nesterov")
    untouched = contents(folder / "momentum")
    flags = (f"--workdir={folder / 'momentum'},{folder / 'nesterov'}", f"--output={folder / 'both'}")
    assert commands.run(report, *flags) == 0
    assert [row["optimizer"] for row in summary(folder / "both")] == ["momentum", "momentum", "nesterov"]
    numbers = {int(path.name[3:5]) for path in (folder / "both" / "figures").glob("fig*.svg")}
    assert {17, 26} <= numbers
    assert contents(folder / "momentum") == untouched


def test_figures_for_a_paper_are_those_of_the_page_in_their_order(made, tmp_path, capsys):
    workdir = f"--workdir={made / 'momentum'}"
    assert commands.run(report, workdir, f"--output={tmp_path}", "--paper", "--paper_widths=2.5,5.5") == 0
    names = [path.stem for path in sorted((tmp_path / "figures").glob("*.png"))]
    assert sorted(path.name for path in (tmp_path / "paper").iterdir()) == [*(f"{n}.pdf" for n in names), "figures.tex"]
    assert re.findall(r"label\{fig:(.+?)\}", (tmp_path / "paper" / "figures.tex").read_text()) == names
    assert b"/MediaBox [ 0 0 396 " in (tmp_path / "paper" / f"{names[1]}.pdf").read_bytes()
    capsys.readouterr()
    assert commands.run(report, workdir, "--paper", "--paper_widths=6,3") == 2
    assert "error: --paper_widths" in capsys.readouterr().err


def test_directories_of_different_settings_are_refused(made, tmp_path, capsys):
    folder = commands.copied(made, tmp_path, "momentum")
    other = folder / "other"
    assert commands.run(adam_betas, *commands.TINY, "--b1s=0.5", "--b2s=0.9", "--patience=7", f"--workdir={other}") == 0
    capsys.readouterr()
    assert commands.run(report, f"--workdir={folder / 'momentum'},{other}", f"--output={folder / 'both'}") == 2
    assert "patience" in capsys.readouterr().err
    assert not (folder / "both").exists()


def test_runs_of_other_settings_in_a_directory_are_left_out_and_said_so(made, tmp_path, capsys):
    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    assert commands.run(momentum_grid, *commands.TINY, *commands.GRID, "--max_epochs=1", f"--workdir={workdir}") == 0
    assert {row["epochs"] for row in summary(workdir)} == {"1"}
    assert "2 runs of other settings" in capsys.readouterr().out
    assert commands.run(momentum_grid, *commands.TINY, *commands.GRID, f"--workdir={workdir}") == 0  # trains nothing
    assert {row["epochs"] for row in summary(workdir)} == {"2"}


def test_a_directory_whose_command_was_cut_off_is_reported_on(made, tmp_path):
    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    config = json.loads((workdir / "config.json").read_text())
    del config["experiments"]
    (workdir / "config.json").write_text(json.dumps(config))
    assert commands.run(report, f"--workdir={workdir}") == 0
    numbers = {int(path.name[3:5]) for path in (workdir / "figures").glob("fig*.svg")}
    assert {5, 17} <= numbers


def test_a_cut_off_command_does_not_forget_what_others_drew(made, tmp_path, monkeypatch):
    from experiments.command import flags, results

    workdir = commands.copied(made, tmp_path, "momentum") / "momentum"
    monkeypatch.setattr(results, "record", lambda *_: flags.leave(130, "killed"))
    assert commands.run(nesterov_grid, *commands.TINY, *commands.GRID, f"--workdir={workdir}") == 130
    assert list(json.loads((workdir / "config.json").read_text())["experiments"]) == ["momentum_grid", "nesterov_grid"]
