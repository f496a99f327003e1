"""The command that lets runs go on otherwise."""

import csv

import pytest
import small
from commands import run

import jaxopt_study as js
from experiments import branching


@pytest.mark.slow
def test_the_best_runs_go_on_in_all_ways_and_the_table_tells_how_far_that_moves_them(tmp_path, monkeypatch):
    monkeypatch.setattr(js, "article_model", lambda: small.MODEL)
    monkeypatch.setattr(branching, "RATES", {"momentum": (0.03,)})
    sgd = [f"SGD, rate {rate:g}" for rate in branching.SGD_RATES]
    flags = ["--max_epochs=3", "--branch_epoch=2", "--seeds=2", f"--workdir={tmp_path}"]
    assert run(branching, *flags) == 0
    with (tmp_path / "branching.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    others = ["a tenth of its rate", "rate falls to 0", *sgd, branching.FORGOTTEN]
    assert [row["goes on"] for row in rows] == [branching.AS_IT_WAS, *others]
    assert [row["val_difference"] == "" for row in rows] == [True, *[False] * 5]
    for row in rows[1:]:
        assert float(row["val_low"]) <= float(row["val_difference"]) <= float(row["val_high"])
        moved = float(row["train_loss"]) - float(rows[0]["train_loss"])
        assert float(row["train_difference"]) == pytest.approx(moved, abs=1e-6)
    assert {path.suffix for path in (tmp_path / "figures").glob("branching_momentum.*")} == {".png", ".svg"}


def test_a_branch_after_the_end_is_refused(tmp_path, capsys):
    assert run(branching, "--max_epochs=5", "--branch_epoch=5", f"--workdir={tmp_path / 'w'}") == 2
    assert "--branch_epoch=5: allowed is less than --max_epochs=5" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
