"""A new experiment with a claim, a figure and a table of its own is one file, and its name in the catalogue."""

import csv
import importlib
import sys

import commands

import experiments
from experiments.command import catalogue

CHAPTER = '''
"""Does a weight decay help plain SGD? (a question of one's own)

    python -m experiments.weight_decay

Expected: hardly.
"""

from functools import partial

from experiments.article.claim import Claim
from experiments.article.find import cell
from experiments.article.parts import higher_minimum
from experiments.article.verdict import decide
from experiments.command import flags
from experiments.command.experiment import Axis, Experiment, full_grid
from jaxopt_study import plots

AXES = {"learning_rates": Axis("sgd", "learning_rate", (0.01, 0.1))}


def smaller_is_worse(runs):
    return decide([higher_minimum(runs, *(cell(runs, "sgd", learning_rate=rate) for rate in (0.01, 0.1)))])


def curves(source):
    return plots.picture.curve_picture(60, source, "Losses.", shows="losses", by="learning_rate")


def table(source):
    return ("learning_rate", "epochs"), [(run.hyperparameters["learning_rate"], run.epochs) for run in source.histories]


EXPERIMENT = Experiment(
    "weight_decay", "Weight decay", AXES, full_grid(AXES, "sgd"), section="Decay",
    claims=(Claim("W1", "A small rate is worse.", 60, smaller_is_worse),), figures=((60, curves),), table=table,
)
main = partial(flags.main, EXPERIMENT)
'''


def test_a_new_chapter_is_one_file_and_its_name_in_the_catalogue(tmp_path, monkeypatch):
    (tmp_path / "weight_decay.py").write_text(CHAPTER.strip())
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    monkeypatch.setattr(catalogue, "NAMES", (*catalogue.NAMES, "weight_decay"))
    catalogue.chapters.cache_clear()
    try:
        chapter = importlib.import_module("experiments.weight_decay")
        assert commands.run(chapter, *commands.TINY, f"--workdir={tmp_path / 'w'}") == 0
    finally:
        catalogue.chapters.cache_clear()
        sys.modules.pop("experiments.weight_decay", None)
    with (tmp_path / "w" / "claims.csv").open() as file:
        verdicts = {row["id"]: row["claim"] for row in csv.DictReader(file)}
    assert len(verdicts) == 44
    assert verdicts["W1"] == "A small rate is worse."
    assert (tmp_path / "w" / "tables" / "weight_decay.csv").read_text() == "learning_rate,epochs\n0.01,2\n0.1,2\n"
    page = (tmp_path / "w" / "report.html").read_text()
    assert 'id="fig60_losses"' in page
    assert "<h3>Decay</h3>" in page
