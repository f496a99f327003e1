"""The 43 claims, each judged both ways on made runs with known truth, and undecided where nothing can be said."""

import csv
import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from claim_worlds import LEARNS, ONE_PART_FALSE, OPPOSITES, at
from made_runs import Truth, made, world

from experiments.article import tables as article_tables
from experiments.article.claim import judge, judgement
from experiments.article.find import ArticleRuns
from experiments.command import experiment as catalogue
from jaxopt_study.report import tables

CLAIMS = catalogue.claims()
IDS = (
    [f"S{n}" for n in range(1, 5)]
    + [f"M{n}" for n in range(1, 10)]
    + [f"A{n}" for n in range(1, 3)]
    + [f"N{n}" for n in range(1, 4)]
    + [f"R{n}" for n in range(1, 7)]
    + [f"D{n}" for n in range(1, 6)]
    + [f"G{n}" for n in range(1, 5)]
    + [f"C{n}" for n in range(1, 3)]
    + [f"X{n}" for n in range(1, 9)]
)


# The rules without whose runs a claim cannot be judged.
NEEDS = {"S": ["sgd"], "M": ["momentum"], "A": ["momentum_ema"], "N": ["nesterov"], "R": ["rmsprop"], "D": ["adam"]}
NEEDS |= {"G": ["adagrad"], "C": ["cyclical"], "X": ["adam"], "X6": ["momentum"], "X7": ["adam", "rmsprop", "adagrad"]}


def judged(claim, runs):
    """The verdict on one claim, in a study on the article's data."""
    return judgement(CLAIMS[IDS.index(claim)], ArticleRuns(runs, article_setup=True))


def test_there_are_exactly_the_43_claims_in_the_articles_order():
    assert [claim.id for claim in CLAIMS] == IDS
    assert len(IDS) == 43


@pytest.mark.parametrize("claim", IDS)
def test_claim_is_supported_where_the_article_is_right(claim):
    found = judged(claim, world(seeds=10))
    assert found.verdict == "supported", found
    assert found.low <= found.effect <= found.high


@pytest.mark.parametrize("claim", IDS)
def test_claim_is_contradicted_where_the_article_is_wrong(claim):
    found = judged(claim, world(*OPPOSITES[claim], seeds=10))
    assert found.verdict == "contradicted", found


@pytest.mark.parametrize(("claim", "changes"), ONE_PART_FALSE)
def test_claim_is_contradicted_where_one_of_its_parts_alone_is_wrong(claim, changes):
    found = judged(claim, world(*changes))
    assert found.verdict == "contradicted", found


@pytest.mark.parametrize("claim", IDS)
def test_claim_does_not_apply_where_its_runs_are_missing(claim):
    rules = NEEDS.get(claim, NEEDS[claim[0]])
    found = judged(claim, [run for run in world() if not rules_of(run) & set(rules)])
    assert found.verdict == "does not apply", found
    assert "grid does not cover it" in found.reason


def rules_of(run):
    """The rules that a run is one of: momentum 0 is plain SGD too."""
    return {run.optimizer, "sgd"} if run.hyperparameters.get("momentum") == 0.0 else {run.optimizer}


@pytest.mark.parametrize("claim", IDS)
def test_one_seed_decides_nothing_but_shows_the_effect(claim):
    found = judged(claim, world(seeds=1))
    assert found.verdict == "undecided"
    assert "too few seeds" in found.reason
    assert math.isfinite(found.effect)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("claim", [claim for claim in IDS if claim not in ("A2", "M7")])
def test_claim_does_not_apply_after_five_epochs(claim):
    found = judged(claim, world(epochs=5, status="finished"))
    assert found.verdict == "does not apply", found
    assert "too few epochs" in found.reason


FINAL = ["S2", "S3", "M9", "R1", "R2", "R5", "R6", "D1", "D3", "D4", "D5", "X1", "X2", "X3", "X4", "X5", "X7", "X8"]


@pytest.mark.parametrize("claim", FINAL)
def test_minima_of_runs_that_still_improve_decide_nothing(claim):
    found = judged(claim, world(epochs=60, status="finished"))
    assert found.verdict == "does not apply"
    assert "too few epochs" in found.reason


def test_a_run_that_may_yet_converge_cannot_show_that_nothing_does():
    assert "too few epochs" in judged("R3", world(epochs=60, status="finished")).reason


def test_a_run_that_converged_early_shows_it_before_its_end():
    assert judged("R3", world(*OPPOSITES["R3"], epochs=60, status="finished")).verdict == "contradicted"


@pytest.mark.parametrize("claim", ["M1", "R6", "D3", "D4", "X1"])
def test_claim_is_undecided_where_seeds_differ_more_than_configurations(claim):
    found = judged(claim, world(noise=0.3, seeds=3))
    assert found.verdict == "undecided", found
    assert "does not tell" in found.reason


def test_five_epochs_decide_that_runs_diverge():
    assert judged("M7", world(epochs=5, status="finished")).verdict == "supported"


def test_absolute_losses_are_not_compared_at_another_image_size():
    found = judgement(CLAIMS[IDS.index("D2")], ArticleRuns(world(), article_data=True))
    assert (found.verdict, found.reason) == (
        "does not apply",
        "other image size: it gives losses at 128 x 128 pixels",
    )


def test_on_other_data_only_what_is_said_of_the_rules_applies():
    found = judge(CLAIMS, ArticleRuns(world()))
    assert [each.id for each in found if each.verdict != "does not apply"] == ["A2"]
    assert {each.reason for each in found if each.id != "A2"} == {
        "other data: it speaks of the article's network on cats_vs_dogs"
    }


def test_claims_find_plain_sgd_under_the_name_of_momentum_zero():
    runs = [run for run in world() if run.optimizer != "sgd"]
    assert all(judged(claim, runs).verdict == "supported" for claim in ("S1", "S2", "S3", "S4", "M6", "X1"))


def test_claims_find_momentum_zero_under_the_name_of_plain_sgd():
    runs = [run for run in world() if run.hyperparameters.get("momentum") != 0.0]
    assert all(judged(claim, runs).verdict == "supported" for claim in ("M1", "M3", "M8", "A1"))


def test_where_everything_converges_there_is_no_trend_in_how_much_does():
    found = judged("M8", world((at("momentum"), LEARNS), (at("sgd"), LEARNS)))
    assert found.verdict == "undecided"
    assert found.effect == 0.0


def test_diverged_seeds_are_said():
    found = judged("M7", world())
    assert "diverged in 5 of 5 seeds" in found.reason


def test_a_best_rate_at_the_edge_of_the_grid_is_not_taken_for_the_best():
    best_at_the_edge = world((at("sgd", 0.1), {"floor": 0.15}))
    runs = [run for run in best_at_the_edge if run.hyperparameters.get("learning_rate", 0.0) < 0.2]
    found = judged("R5", runs)
    assert found.verdict == "does not apply"
    assert "sgd (learning_rate 0.1) is best at the edge of its grid" in found.reason


def test_a_best_rate_at_the_other_edge_does_not_refute_a_larger_one():
    found = judged(
        "G3", world((at("adagrad", 1.0), {"floor": 0.1}), (at("sgd", 10**-0.5), {"floor": 0.1, "speed": 0.2}))
    )
    assert found.verdict == "does not apply"
    assert "sgd (learning_rate 0.316) is best at the edge of its grid" in found.reason


def test_a_few_cells_say_nothing_of_most_cases():
    runs = [run for run in world() if run.optimizer != "nesterov" or run.hyperparameters["momentum"] == 0.9]
    found = judged("N1", runs)
    assert (found.verdict, found.reason) == (
        "does not apply",
        "grid does not cover it: 5 cells with momentum, 10 are needed",
    )


@pytest.mark.parametrize("claim", ["N1", "N2"])
def test_of_rules_of_which_no_cell_converges_most_cases_say_nothing(claim):
    """Though another rule learns: the whole of the study is not at guessing."""
    stuck = [(at(rule), {"floor": 0.68}) for rule in ("sgd", "momentum", "nesterov")]
    found = judged(claim, world(*stuck))
    assert (found.verdict, found.reason[:18]) == ("does not apply", "nothing converges:")


def test_one_configuration_that_still_improves_keeps_open_that_none_converges():
    falling = made(Truth(0.688, 0.01), "rmsprop", {"learning_rate": 10**-1.5, "decay": 0.5}, 0, status="finished")
    runs = [run for run in world() if not (rate(run) == 10**-1.5 and run.hyperparameters.get("decay") in (0.5, 0.99))]
    assert judged("R3", runs).verdict == "supported"
    worse = [dataclasses.replace(falling, seed=seed) for seed in range(5)]
    assert "too few epochs" in judged("R3", [*runs, *worse]).reason


def rate(run):
    return run.hyperparameters.get("learning_rate")


def test_without_runs_no_claim_applies_and_each_says_why():
    found = judge(CLAIMS, ArticleRuns([], article_setup=True))
    assert {each.verdict for each in found} == {"does not apply"}
    assert all(each.reason for each in found)


def spoiled(run, rng):
    """A run with something wrong or unusual about it, or as it was."""
    curves = {name: np.array(curve) for name, curve in run.curves.items()}
    last = int(rng.integers(1, run.epochs + 1))
    kind = rng.choice(["as it was", "cut", "diverged", "flat", "huge", "failed"], p=[0.5, 0.1, 0.2, 0.1, 0.05, 0.05])
    if kind in ("cut", "diverged"):
        curves = {name: curve[:last] for name, curve in curves.items()}
    if kind == "diverged":
        curves["val_loss"][-1] = np.nan  # the training loss may be finite still
        return dataclasses.replace(run, curves=curves, status="diverged", diverged_epoch=last)
    if kind == "flat":
        curves = {name: np.zeros_like(curve) for name, curve in curves.items()}
    if kind == "huge":
        curves = {name: np.full_like(curve, 1e30) for name, curve in curves.items()}
    status = "failed" if kind == "failed" else str(rng.choice(["stopped", "finished"]))
    return dataclasses.replace(run, curves=curves, status=status)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_runs_every_claim_gets_a_verdict_within_its_interval_and_a_reason_on_one_line(seed):
    rng = np.random.default_rng(seed)
    kept = [spoiled(run, rng) for run in world(seeds=int(rng.integers(1, 4))) if rng.random() < rng.choice([0.7, 0.97])]
    for found in judge(CLAIMS, ArticleRuns(kept, article_setup=True)):
        assert found.verdict in ("supported", "contradicted", "undecided", "does not apply")
        assert found.reason
        assert "\n" not in found.reason
        assert math.isnan(found.low) or found.low <= found.effect <= found.high
        assert found.verdict in ("undecided", "does not apply") or math.isfinite(found.effect)


def test_verdicts_are_the_same_every_time():
    assert [judged(claim, world()) for claim in ("S2", "X2")] == [judged(claim, world()) for claim in ("S2", "X2")]


def test_csv_has_a_row_a_claim_with_the_agreed_columns_first(tmp_path):
    (tmp_path / "claims.csv").write_text(tables.to_csv(article_tables.claims(judge(CLAIMS, world(seeds=1)))))
    text = (tmp_path / "claims.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0])[:6] == ["id", "verdict", "effect", "low", "high", "reason"]
    assert [row["id"] for row in rows] == IDS
    assert rows[0]["low"] == ""
    assert len(text.splitlines()) == 44


def test_analysis_claims_and_tables_need_no_jax():
    code = "import sys, experiments.article.tables, experiments.article.parts; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
