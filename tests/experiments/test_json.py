"""--json: one line on stdout that a program reads, whatever else is said and however it ends."""

import ast
import contextlib
import json
import runpy
import subprocess
import sys
import types
from pathlib import Path

import commands
import pytest
from absl import flags
from absl.testing import flagsaver
from flax import linen as nn

import experiments
import jaxopt_study as js
from experiments import momentum_grid, own_model, report
from experiments.command.flags import start

HERE = Path(experiments.__file__).parent


class Net(nn.Module):
    """In place of the residual network, which takes a while to compile."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1))


def is_command(path):
    tests = (node.test for node in ast.parse(path.read_text()).body if isinstance(node, ast.If))
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)


COMMANDS = {
    ".".join(("experiments", *path.relative_to(HERE).with_suffix("").parts)): path
    for path in HERE.rglob("*.py")
    if is_command(path)
}


def test_the_commands_are_found():
    assert {f"experiments.{path.stem}" for path in HERE.glob("[a-z]*.py")} <= COMMANDS.keys()
    packages = {"experiments.__main__", "experiments.suite.__main__", "experiments.results.publish"}
    assert packages | {"experiments.benchmarks.conformance"} <= COMMANDS.keys()


@contextlib.contextmanager
def as_if_new(command):
    """Takes away the flags that a command defined when another test imported it, and gives them back."""
    defined = list(flags.FLAGS.flags_by_module_dict().get(command, ()))
    for flag in defined:
        delattr(flags.FLAGS, flag.name)
    yield
    for flag in defined:
        flags.FLAGS[flag.name] = flag
        flags.FLAGS.register_flag_by_module(command, flag)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_it(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [command, "--json", "--no_such_flag"])
    with as_if_new(command), flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(COMMANDS[command]), run_name="__main__")
    assert left.value.code == 2
    told = lines(capsys)
    assert told["status"] == 2
    assert "no_such_flag" in told["error"]
    assert "json" not in told["error"]


@pytest.mark.parametrize(
    ("command", "flag"), [("report", "--workdir"), ("own_model", "--[no]json"), ("benchmarks.until", "--workdir")]
)
def test_help_lists_the_commands_flags_and_ends_with_0(command, flag):
    line = [sys.executable, "-m", f"experiments.{command}", "--help"]
    done = subprocess.run(line, cwd=HERE.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert f"  {flag}:" in done.stdout
    assert "  --[no]json:" in done.stdout


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


def test_what_others_tell(tmp_path, capsys, monkeypatch):
    make, data = js.make_study, js.load("digits", classes=["all"], train_examples=64, val_examples=32)
    small = {"data": data, "model": Net(), "max_epochs": 1, "seeds": 1, "workdir": tmp_path}
    monkeypatch.setattr(js, "make_study", lambda **of: make(**of | small))
    program = types.SimpleNamespace(main=lambda argv: start(own_model.main, argv), __name__="own_model")
    assert commands.run(program, "--json") == 0
    told = lines(capsys)
    assert told["finished"] == told["runs"] == 9
    assert {row["optimizer"] for row in told["best"]} == {"optax.adamw", "optax.lion"}
    assert str(tmp_path / "report.html") in told["files"]
