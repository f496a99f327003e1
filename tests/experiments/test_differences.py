"""What moves the losses: the command from flags to its table."""

import csv

import jax
import numpy as np
import pytest
import small
from commands import run

import jaxopt_study as js
from experiments.benchmarks import differences
from jaxopt_study.models import article


@pytest.mark.slow
def test_the_table_compares_each_variant_with_the_base(tmp_path, monkeypatch):
    monkeypatch.setattr(js, "article_model", lambda **_: small.MODEL)
    monkeypatch.setattr(differences, "RULES", ("sgd", "adam"))
    flags = ("--dataset=digits", "--variants=data_seed,batch", "--max_epochs=1", "--seeds=1")
    assert run(differences, *flags, f"--workdir={tmp_path}") == 0
    with (tmp_path / "differences.csv").open() as file:
        rows = list(csv.DictReader(file))
    titles = [differences.VARIANTS[name].title for name in ("base", "data_seed", "batch")]
    assert [(row["variant"], row["optimizer"]) for row in rows] == [(t, r) for t in titles for r in differences.RULES]
    base = {row["optimizer"]: float(row["val_loss"]) for row in rows[:2]}
    for row in rows[2:]:
        apart = float(row["val_loss"]) - base[row["optimizer"]]
        assert float(row["difference"]) == pytest.approx(apart, abs=1e-6)
        assert row["difference_low"] == ""  # one seed has no interval


@pytest.mark.slow
def test_running_statistics_of_another_momentum_are_those_of_such_a_network(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)

    def stats(model):
        network = model.build((8, 8, 3), 1, 4)

        @jax.jit
        def after_a_step(key):
            return network.train(network.init(key), network.prepare(images, True), key)[1]

        return after_a_step(jax.random.key(0))

    changed = stats(differences.forgetful(js.article_model(kernels="plain"), 0.9))
    monkeypatch.setattr(article, "MOMENTUM", 0.9)
    wanted = stats(js.article_model(kernels="plain"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), changed, wanted)


def test_a_variant_that_is_none_is_refused_in_one_line(tmp_path, capsys):
    assert run(differences, "--variants=colour", f"--workdir={tmp_path / 'w'}") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "w").exists()
