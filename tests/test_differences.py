"""What moves the losses: the command from flags to its table."""

import csv

import pytest
import small
from commands import run

import jaxopt_study as js
from experiments import differences


def test_the_table_compares_each_variant_with_the_base(tmp_path, monkeypatch):
    monkeypatch.setattr(js, "article_model", lambda **_: small.MODEL)
    flags = ("--dataset=digits", "--variants=data_seed,batch", "--max_epochs=1", "--seeds=1")
    assert run(differences, *flags, f"--workdir={tmp_path}") == 0
    with (tmp_path / "differences.csv").open() as file:
        rows = list(csv.DictReader(file))
    titles = [differences.VARIANTS[name].title for name in ("base", "data_seed", "batch")]
    assert [(row["variant"], row["optimizer"]) for row in rows] == [(t, r) for t in titles for r in differences.RULES]
    base = {row["optimizer"]: float(row["val_loss"]) for row in rows[:3]}
    for row in rows[3:]:
        apart = float(row["val_loss"]) - base[row["optimizer"]]
        assert float(row["difference"]) == pytest.approx(apart, abs=1e-6)
        assert row["difference_low"] == ""  # one seed has no interval


def test_a_variant_that_is_none_is_refused_in_one_line(tmp_path, capsys):
    assert run(differences, "--variants=colour", f"--workdir={tmp_path / 'w'}") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "w").exists()
