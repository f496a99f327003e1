"""More seeds where they decide something, and nowhere else; the runs are what they would be without."""

import math

import made_runs
import own_studies
import pytest
from compared import assert_identical

import jaxopt_study as js
from experiments.benchmarks import until
from experiments.command import experiment
from jaxopt_study.analysis.looking import Question
from jaxopt_study.analysis.runs import configuration_of
from jaxopt_study.engine.allocation import next_runs
from jaxopt_study.grids.run import make_run, product
from jaxopt_study.storage import workdir

RATES = (0.1, 0.2, 0.3)
KEYS = {rate: configuration_of("sgd", {"learning_rate": rate}) for rate in RATES}


def asked(runs, *questions):
    return [(run.hyperparameters[0][1], run.seed) for run in next_runs(runs, questions, 5)]


def test_the_configurations_on_which_most_hangs_come_first_and_the_others_get_nothing():
    runs = product("sgd", {"learning_rate": RATES}, 2)
    first, second = Question([KEYS[0.3], KEYS[0.2]], 0.06), Question([KEYS[0.2]], 0.06)
    assert asked(runs, first, second) == [(0.2, 2), (0.3, 2)]
    assert asked(runs) == []


def test_a_question_asks_only_for_the_seeds_that_it_lacks():
    runs = [*product("sgd", {"learning_rate": RATES}, 2), make_run("sgd", {"learning_rate": 0.2}, 2)]
    assert asked(runs, Question([KEYS[0.2], KEYS[0.3]], 0.06)) == [(0.3, 2)]


def test_what_the_most_seeds_will_hardly_decide_gets_no_more_of_them():
    runs = product("sgd", {"learning_rate": RATES}, 4)
    assert asked(runs, Question([KEYS[0.1]], 0.9)) == []
    assert asked(product("sgd", {"learning_rate": RATES}, 5), Question([KEYS[0.1]], 0.04)) == []
    assert asked(runs, Question([KEYS[0.1]], 0.04)) == [(0.1, 4)]


def test_all_names_of_one_computation_get_the_seed():
    runs = [
        make_run("momentum", {"learning_rate": 0.1, "momentum": 0.0}, 0),
        make_run("sgd", {"learning_rate": 0.1}, 0),
    ]
    more = next_runs(runs, [Question([KEYS[0.1]], math.nan)], 5)
    assert [(run.optimizer, run.seed) for run in more] == [("momentum", 1), ("sgd", 1)]


def study(folder, seeds, **options):
    return js.make_study(
        model=own_studies.Net(), data=own_studies.data(), grid=js.make_grid("sgd", learning_rate=RATES), seeds=seeds,
        max_epochs=2, batch_size=8, slots=4, devices=2, workdir=folder, **options,
    )  # fmt: skip


def open_at(rate):
    return lambda histories, most: [Question([KEYS[rate]], math.nan)]


def test_added_seeds_are_the_runs_that_a_study_of_so_many_seeds_has_whenever_they_were_added(tmp_path):
    whole = study(tmp_path / "whole", 3)
    whole.run()
    calls = 0
    while True:  # out of time after every epoch
        calls += 1
        parts = study(tmp_path / "parts", 1, until="decided", max_seeds=3, questions=open_at(0.2), max_minutes=1e-6)
        parts.run()
        epochs = workdir.read_stats(tmp_path / "parts" / "stats.json")["epochs_trained"]
        if len(parts.histories) == 5:
            break
    assert calls > 2
    assert epochs == 5 * 2
    everything, found = whole.finished, parts.finished
    assert found.keys() < everything.keys()
    for key, history in found.items():
        assert_identical(history, everything[key])
    again = study(tmp_path / "parts", 1, until="decided", max_seeds=3, questions=open_at(0.2))
    again.run()
    assert len(again.histories) == 5
    assert workdir.read_stats(tmp_path / "parts" / "stats.json")["epochs_trained"] == epochs


BAD = [
    ({"max_seeds": 4}, "max_seeds=4: allowed with until=decided only"),
    ({"until": "done"}, "until=done: allowed are decided"),
    ({"until": "decided", "max_seeds": 2}, "max_seeds=2: allowed is a whole number from 3"),
    ({"until": "decided", "halving": 2}, "halving=2: not allowed with until"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_what_seeds_cannot_be_added_to_is_refused_in_a_line(tmp_path, options, message):
    with pytest.raises(js.InputError, match=f"^{message}"):
        study(tmp_path / "w", 3, **options)
    assert not (tmp_path / "w").exists()


def test_stored_runs_are_replayed_with_the_claims_themselves():
    runs = [run for run in made_runs.world(seeds=5) if run.optimizer == "sgd"]
    chosen = [claim for claim in experiment.claims() if claim.id in ("S1", "S2", "S4")]
    found = until.stored(chosen, runs, article_data=True)
    assert found["kept"] == found["decided_everywhere"] == 1
    assert found["other"] == 0
    assert 0.4 <= found["epochs"] < 1


def test_in_made_studies_two_fifths_of_the_epochs_decide_nine_tenths_of_what_ten_seeds_everywhere_decide():
    found = until.replay(40)
    assert found["epochs"] < 0.4
    assert found["kept"] > 0.89
    assert max(found["wrong"], found["wrong_everywhere"]) < 0.05
    assert found["epochs_of_an_oracle"] > 0.4  # all of them cannot be had for less by adding seeds alone
