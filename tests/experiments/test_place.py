"""Every command takes --workdir and --output in one way."""

import contextlib

import commands
import pytest

from experiments import branching, momentum_grid, optimizers_2026, report
from experiments.benchmarks import differences
from experiments.results import publish
from experiments.suite import __main__ as suite_main
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.storage import remote

ALL = (branching, differences, momentum_grid, optimizers_2026, suite_main, report, publish)


@pytest.fixture
def asked(monkeypatch):
    """The work directories that commands ask for, none of which answers."""
    found = list[str]()

    @contextlib.contextmanager
    def kept(workdir, *, shared=False):
        found.append(str(workdir))
        raise EnvironmentFault("no answer")
        yield

    monkeypatch.setattr(remote, "kept", kept)
    return found


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.__name__)
def test_a_url_goes_to_object_storage_from_any_command(module, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(remote, "place", lambda workdir, **_: tmp_path / "mirror")
    monkeypatch.chdir(tmp_path)
    more = [f"--output={tmp_path / 'out'}"] if module is publish else []
    assert commands.run(module, "--workdir=memory://bucket/folder", *more) == 1
    assert asked == ["memory://bucket/folder"]
    assert capsys.readouterr().err == "error: no answer\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ALL[:5], ids=lambda module: module.__name__)
def test_an_empty_workdir_is_the_usual_one(module, asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.run(module, "--workdir=") == 1
    assert asked == [f"workdir/{'suite' if module is suite_main else module.__name__.split('.')[-1]}"]


@pytest.mark.parametrize("module", [optimizers_2026, report, publish], ids=lambda module: module.__name__)
def test_an_output_is_a_folder_here_and_an_error_names_it(module, tmp_path, capsys):
    workdir = tmp_path / "w"
    workdir.mkdir()
    (tmp_path / "file").write_text("mine")
    for output in ("s3://bucket/folder", str(tmp_path / "file")):
        assert commands.run(module, f"--workdir={workdir}", f"--output={output}") == 2
        assert capsys.readouterr().err.startswith(f"error: --output={output}: allowed is a folder")
