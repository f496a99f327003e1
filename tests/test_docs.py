"""What the documentation shows runs: the notebook, the examples of docstrings, the README's program."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import jaxopt_study as js

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "jaxopt_study").rglob("*.py")
    if "    >>> " in path.read_text()
)


@pytest.mark.slow
def test_the_tutorial_runs_from_its_first_cell_to_its_last(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", 4)
    stored = [[kinds(output) for output in cell.get("outputs", ())] for cell in notebook.cells]
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "workdir" / "tutorial" / "report.html").exists()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("did you mean learning_rate" in output.get("text", "") for output in shown)
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any('<progress value="252" max="252"' in output.get("data", {}).get("text/html", "") for output in shown)
    assert stored == [[kinds(output) for output in cell.get("outputs", ())] for cell in notebook.cells]


def kinds(output):
    """What an output of a cell is: text on a stream, or data of some types."""
    return output.output_type, sorted(output.get("data", {}))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_give_what_they_say(module):
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted > 0
    assert done.failed == 0


def test_the_main_public_functions_have_examples():
    assert {
        "jaxopt_study.grids.grid",
        "jaxopt_study.grids.points",
        "jaxopt_study.grids.ranges",
        "jaxopt_study.grids.conditions",
    } <= {*WITH_EXAMPLES}


def test_every_public_name_is_in_the_reference():
    text = "".join((ROOT / "docs" / name).read_text() for name in ("api.md", "rules.md"))
    modules = re.findall(r"automodule:: (\S+)\n   :members:(.*)", text)
    shown = {f"{module}.{name}" for module, names in modules for name in names.replace(",", " ").split()}
    shown |= set(re.findall(r"autodata:: (\S+)", text))
    shown |= {f"jaxopt_study.optimizers.{name}" for name in re.findall(r"autofunction:: (\w+)\n", text)}
    whole = [importlib.import_module(module) for module, names in modules if not names.strip()]
    found = [getattr(importlib.import_module(module), name) for module, _, name in (s.rpartition(".") for s in shown)]
    found += [x for of in whole for x in vars(of).values() if getattr(x, "__module__", "") == of.__name__]
    assert [name for name in js.__all__ if not any(getattr(js, name) is each for each in found)] == []


def test_the_readme_shows_the_program_that_is_run():
    program, _, _ = (ROOT / "experiments" / "own_model.py").read_text().partition("if __name__")
    assert program in (ROOT / "README.md").read_text()


def test_the_citation_names_what_is_asked_for():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version"} <= set(citation)
    authors = [author["family-names"] for author in citation["references"][0]["authors"]]
    assert authors == ["Chang", "Pathak"]
