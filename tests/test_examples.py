"""The programs of docs/data.md run as a newcomer would type them, and learn."""

import re
from pathlib import Path

import pytest

import jaxopt_study as js
from jaxopt_study.analysis.guessing import fails

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text()
PROGRAMS = dict(re.findall(r"<!-- example (\w+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


def test_each_example_has_at_most_30_lines():
    assert list(PROGRAMS) == ["table", "digits", "linen", "nnx"]
    assert max(len(program.splitlines()) for program in PROGRAMS.values()) <= 30


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "linen")) for name in PROGRAMS]
)
def test_an_example_runs_and_what_it_trains_learns(name, tmp_path, monkeypatch, capsys):
    if name in ("table", "digits"):
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "example"}
    exec(compile(PROGRAMS[name], f"docs/data.md, {name}", "exec"), scope)
    study = scope["study"]
    assert not all(fails(run, study.guessing) for run in study.histories)
    assert "split into" in capsys.readouterr().err
    assert js.load_runs(study.folder).num_rows == sum(run.epochs for run in study.histories)
    if name == "digits":
        best = study.best()
        assert best.monitor == "f1"
        assert best.value > 0.8
        assert "best_f1" in (study.folder / "tables" / "best_runs.csv").read_text()
        assert any("f1" in path.name for path in (study.folder / "figures").iterdir())
