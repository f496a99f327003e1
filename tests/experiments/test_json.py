"""--json: one line on stdout that a program reads, whatever else is said and however it ends."""

import json

import commands
import pytest

from experiments import momentum_grid, report


def lines(capsys):
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    return json.loads(out[0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_command_and_its_report_say_what_ran_what_came_out_and_where(tmp_path, capsys):
    flags = [*commands.TINY, "--learning_rates=0.01", "--momenta=0,0.9", f"--workdir={tmp_path}"]
    assert commands.run(momentum_grid, *flags, "--json") == 0
    told = lines(capsys)
    assert told["status"] == 0
    assert (told["workdir"], told["runs"], told["finished"]) == (str(tmp_path), 2, 2)
    assert sum(told["endings"].values()) == 2
    assert {row["optimizer"] for row in told["best"] if row["val_loss"]} <= {"SGD", "Momentum"}
    assert all(verdict["verdict"] for verdict in told["verdicts"])
    assert f"{tmp_path}/report.html" in told["files"]
    assert f"{tmp_path}/summary.csv" in told["files"]
    assert commands.run(report, f"--workdir={tmp_path}", "--json") == 0
    assert lines(capsys)["finished"] == 2


@pytest.mark.parametrize("flag", ["--learning_rates=-1", "--max_epochs=0", "--no_such_flag=1"])
def test_what_is_refused_is_said_in_the_line_too(flag, tmp_path, capsys):
    assert commands.run(momentum_grid, "--json", *commands.TINY, f"--workdir={tmp_path}/w", flag) == 2
    told = lines(capsys)
    assert told["status"] == 2
    assert flag.split("=")[0].lstrip("-") in told["error"]
