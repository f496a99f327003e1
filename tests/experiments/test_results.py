"""What a work directory says of its runs is used, or refused in a line, whatever shape it has."""

import copy
import json
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import history
from rich.console import Console

from experiments.article.claim import judge
from experiments.article.find import ArticleRuns
from experiments.command import experiment as catalogue
from experiments.command import results, terminal
from jaxopt_study.engine.plan import Part
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.grids.run import fingerprint, make_run
from jaxopt_study.report import facts, wording
from jaxopt_study.report.tables import Table
from jaxopt_study.storage import workdir
from jaxopt_study.storage.store import Store

CONFIG: dict[str, Any] = {
    "identity": {"data": "d", "model": "m", "outputs": 1, "batch_size": 8, "max_epochs": 2},
    "dataset": {
        "name": "made",
        "classes": ["a", "b"],
        "image_shape": [4, 4, 1],
        "train_examples": 9,
        "val_examples": 3,
    },
    "grid": [{"optimizer": "sgd", "learning_rate": 0.01, "seed": 0}],
    "devices": ["cpu"],
    "versions": {"jax": "1"},
    "own": True,
    "loss": "sigmoid",
    "guessing": 0.69,
    "experiments": {"sgd_learning_rates": {"learning_rate": [0.01]}, "momentum_grid": None},
}
STATS: dict[str, Any] = {
    **{"seconds": 2.0, "compile_seconds": 1.0, "examples_per_second": 9.0, "goodput": 1.0, "peak_memory_bytes": 5},
    "parts": [
        {
            **{"seconds": 2.0, "compile_seconds": 1.0, "training_seconds": 1.0, "examples": 9, "epochs_trained": 1},
            **{"epochs_computed": 1, "runs": 1, "slots": 1, "devices": 2},
        }
    ],
}
OTHERS = (None, -1.5, "text", [1], {}, True, 10**400)


def places(value: Any) -> list[list[Any]]:
    """The way to every value in a nest of tables and lists."""
    names = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [[], *([name, *rest] for name in names for rest in places(value[name]))]


def put(value: Any, place: list[Any], other: Any) -> Any:
    if not place:
        return other
    value = copy.deepcopy(value)
    value[place[0]] = put(value[place[0]], place[1:], other)
    return value


def use(folder: Path) -> None:
    """What a report asks for."""
    found = results.read([folder])
    origins = [facts.Origin(path.name, config, stats) for path, config, stats in found.origins]
    assert isinstance(found.where, str)
    assert isinstance(found.chance, float)
    assert found.runs is not None
    assert found.of_article in (True, False)
    empty = Table(("optimizer", "val_loss", "status", "seed"), [])
    assert facts.facts(origins, empty)
    assert list(wording.flat(origins[0].config)) is not None
    assert str(folder) in terminal.closing_line(folder)


def test_the_page_s_first_line_says_what_was_changed_by_hand(tmp_path: Path) -> None:
    run = make_run("sgd", {"learning_rate": 0.01}, 0)
    Store(tmp_path / "runs").write(fingerprint(run, CONFIG["identity"]), history())
    empty = Table(("optimizer", "val_loss", "status", "seed"), [])
    told = []
    for edited in ("", "config.json", "stats.json"):
        workdir.write_json(tmp_path / "config.json", CONFIG)
        workdir.write_json(tmp_path / "stats.json", STATS)
        if edited:
            path = tmp_path / edited
            path.write_text(path.read_text().replace({"config.json": "0.69", "stats.json": "9.0"}[edited], "0.5"))
            with pytest.warns(UserWarning, match=f"{edited} was changed since it was written"):
                found = results.read([tmp_path])
        else:
            found = results.read([tmp_path])
        origins = [facts.Origin(path.name, config, stats) for path, config, stats in found.origins]
        told.append(facts.facts(origins, empty)[0])
    assert told[0][0] != "Changed by hand"
    assert [heading for heading, _ in told[1:]] == ["Changed by hand"] * 2
    assert told[1][1].startswith("config.json since it was written")
    assert told[2][1].startswith("stats.json since it was written")


@pytest.mark.parametrize(("name", "whole"), [("config.json", CONFIG), ("stats.json", STATS)])
def test_json_of_any_shape_is_used_or_refused_in_a_line(name: str, whole: dict[str, Any], tmp_path: Path) -> None:
    run = make_run("sgd", {"learning_rate": 0.01}, 0)
    Store(tmp_path / "runs").write(fingerprint(run, CONFIG["identity"]), history())
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / name).write_text(json.dumps(whole))  # without a digest, as earlier versions wrote it
    use(tmp_path)
    refused = 0
    for place in places(whole):
        for other in OTHERS:
            (tmp_path / name).write_text(json.dumps(put(whole, place, other)))
            with warnings.catch_warnings(record=True) as told:
                try:
                    use(tmp_path)
                except (EnvironmentFault, InputError):
                    refused += 1
            refused += any("is damaged" in str(warning.message) for warning in told)
            shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
    assert refused > 3 * len(places(whole))


@pytest.mark.parametrize(
    ("dataset", "identity", "data", "setup"),
    [
        ({}, {}, True, True),
        ({"image_shape": [32, 32, 3]}, {}, True, False),
        ({}, {"batch_size": 64}, True, False),
        ({"name": "digits"}, {}, False, False),
        ({}, {"model": "own"}, False, False),
    ],
)
def test_claims_know_the_articles_data_and_its_set_up_by_what_the_config_says(dataset, identity, data, setup):
    cats = {"name": "tfds:cats_vs_dogs", "image_shape": [128, 128, 3], "train_examples": 18610, "val_examples": 4652}
    config = {
        "dataset": {"classes": ["cat", "dog"], **cats, **dataset},
        "identity": {"model": "article", "batch_size": 32, **identity},
    }
    runs = results.Results([(Path("w"), config, {})], [history()], 0, {}).runs
    assert (runs.article_data, runs.article_setup) == (data, setup)


def test_the_terminal_says_nothing_of_claims_where_none_applies(tmp_path, capsys):
    best = Table(("optimizer",), [])
    terminal.show([history()], best, [], [], tmp_path, 0.69)
    assert "claims:" not in capsys.readouterr().out
    said = judge(catalogue.claims(), ArticleRuns([history()], article_data=True))
    terminal.show([history()], best, said, [], tmp_path, 0.69)
    assert "claims: 0 supported, 0 contradicted, " in capsys.readouterr().out


def test_a_plan_names_the_precision_of_every_program(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    names = ("float32", "bfloat16")
    parts = [Part("sgd", 32, 1, 0, model=f"matmul_precision {name}") for name in names]
    runs = [make_run("sgd", {"learning_rate": 0.1, "matmul_precision": name}, 0) for name in names]
    terminal.show_plan(SimpleNamespace(folder="w", runs=runs, plan=lambda: parts))
    told = capsys.readouterr().out
    assert "axes" in told
    assert [told.count(name) for name in names] == [2, 2]
    assert "learning_rate 0.1; matmul_precision float32, bfloat16" in told


def test_at_80_columns_a_table_of_several_rules_cuts_nothing():
    numbers = {
        "rmsprop": {"decay": 0.95},
        "adam": {"b1": 0.5, "b2": 0.999},
        "adagrad": {},
        "nesterov": {"momentum": 0.9},
    }
    runs = [
        [history(name, seed, learning_rate=10**-2.5, val=[0.7, 0.123456], train=[0.7, 0.2], **own) for seed in (0, 1)]
        for name, own in numbers.items()
    ]
    console = Console(width=80, record=True)
    console.print(terminal.table(runs))
    text = console.export_text()
    assert "…" not in text
    assert text.count("0.1235") == 3 * len(numbers)  # the mean, and both ends of the range
    assert max(map(len, text.splitlines())) <= 80
