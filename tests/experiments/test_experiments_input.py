import sys

import commands
import pytest

from experiments import adam_betas, compare, cyclical_learning_rate, momentum_grid, replicate, report

BAD = [
    # flag as given, what the line must name
    ("--learning_rates=-1", ("--learning_rates=-1", "above 0")),
    ("--learning_rates=abc", ("--learning_rates=abc", "above 0")),
    ("--learning_rates=", ("--learning_rates=", "comma-separated")),
    ("--learning_rates=inf", ("--learning_rates=inf",)),
    ("--learning_rates=0.1,,0.2", ("--learning_rates=",)),
    ("--momenta=1.5", ("--momenta=1.5", "[0, 1)")),
    ("--momenta=nan", ("--momenta=nan", "[0, 1)")),
    ("--dataset=nope", ("--dataset=nope", "digits")),
    ("--dataset=folder:{empty}", ("--dataset=folder:",)),
    ("--dataset=folder:{one}", ("--dataset=folder:",)),
    ("--dataset=folder:{none}", ("--dataset=folder:",)),
    ("--batch_size=0", ("batch_size",)),
    ("--batch_size=1000000", ("--batch_size=1000000", "1438")),
    ("--image_size=0", ("image_size",)),
    ("--max_epochs=0", ("max_epochs",)),
    ("--max_epochs=many", ("max_epochs",)),
    ("--seeds=0", ("seeds",)),
    ("--patience=-3", ("patience",)),
    ("--train_examples=9999", ("--train_examples=9999",)),
    ("--classes=even", ("--classes=even",)),
    ("--no_such_flag=1", ("no_such_flag",)),
    ("--decays=0.9", ("decays",)),
    ("stray", ("stray",)),
    ("--preset=huge", ("preset", "quick", "article")),
    ("--workdir={file}", ("--workdir=",)),
    ("--workdir={file}/below", ("--workdir=",)),
    ("--devices=0", ("devices",)),
    ("--devices=1000", ("--devices=1000",)),
]


@pytest.fixture
def places(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "cat").mkdir(parents=True)
    (tmp_path / "one" / "cat" / "x.jpg").touch()
    (tmp_path / "file").touch()
    return {name: tmp_path / name for name in ("empty", "one", "none", "file", "w")}


def refused(module, status, capsys, *flags):
    """The one line with which the command ends."""
    assert commands.run(module, *flags) == status
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.strip().splitlines()
    assert len(lines) == 1, told.err
    assert "Traceback" not in lines[0]
    return lines[0]


@pytest.mark.parametrize(("flag", "named"), BAD, ids=[flag for flag, _ in BAD])
def test_bad_input_is_refused_in_one_line_before_anything_is_written(flag, named, places, capsys):
    before = sorted(places["w"].parent.rglob("*"))
    line = refused(momentum_grid, 2, capsys, f"--workdir={places['w']}", flag.format(**places))
    assert line.startswith("error: ")
    for part in named:
        assert part in line
    assert sorted(places["w"].parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "flag", "named"),
    [
        (adam_betas, "--b1s=1", "--b1s=1"),
        (adam_betas, "--b2s=-0.1", "--b2s=-0.1"),
        (cyclical_learning_rate, "--step_sizes=0", "--step_sizes=0"),
        (cyclical_learning_rate, "--base_learning_rates=0.5", "--base_learning_rates=0.5"),
        (compare, "--learning_rates=0.1", "learning_rates"),
        (replicate, "--momenta=0.1", "momenta"),
    ],
)
def test_every_experiment_checks_its_own_axes(module, flag, named, places, capsys):
    assert named in refused(module, 2, capsys, f"--workdir={places['w']}", flag)
    assert not places["w"].exists()


def test_what_the_environment_lacks_is_told_with_status_1(places, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    line = refused(momentum_grid, 1, capsys, f"--workdir={places['w']}", "--tensorboard")
    assert "pip install" in line
    assert not places["w"].exists()


def test_data_that_are_not_prepared_name_what_helps(places, capsys):
    flags = ("--dataset=tfds:cats_vs_dogs", f"--data_dir={places['empty']}", f"--workdir={places['w']}")
    assert commands.run(momentum_grid, *flags) in (1, 2)
    assert "cats_vs_dogs" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not places["w"].exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ((), "--workdir="),
        (("--workdir={none}",), "no such folder"),
        (("--workdir={empty}",), "runs/*.parquet"),
        (("--workdir={file}",), "no such folder"),
    ],
)
def test_a_report_of_nothing_is_refused(flags, named, places, capsys):
    before = sorted(places["w"].parent.rglob("*"))
    assert named in refused(report, 2, capsys, *(flag.format(**places) for flag in flags))
    assert sorted(places["w"].parent.rglob("*")) == before
