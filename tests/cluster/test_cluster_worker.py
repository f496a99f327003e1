"""A worker, without a cluster around it."""

import pytest

pytest.importorskip("ray")

import dataclasses

import small

from jaxopt_study.cluster.worker import Ended, Fault, Recipe, Worker
from jaxopt_study.engine.trainer import Trainer


def test_a_worker_compares_a_run_with_those_that_ended_elsewhere(tmp_path):
    plain = small.study(tmp_path, small.grid(rates=(1e-4, 1e-3, 0.03), momenta=(0.0,)), epochs=3)
    settings = dataclasses.replace(plain.settings, halving=3)
    study = Trainer(settings, plain.dataset, plain.runs, tmp_path, model=small.MODEL)
    study.train()
    (lost, *_) = [run for run, history in study.finished.items() if history.status == "halved"]
    others = study.rivals([lost])
    assert others.pop(lost).epochs == 1
    recipe = Recipe(settings, study.runs, small.model, study.objective, study.execution, [], 1, None)
    worker = Worker(recipe, study.dataset)
    try:
        events = []
        while not any(isinstance(event, Ended | Fault) for event in events):
            events += worker.work([] if events else [lost], False, 5.0, others).events
        (ended,) = [event for event in events if isinstance(event, Ended | Fault)]
        assert (ended.history.status, ended.history.epochs) == ("halved", 1)
    finally:
        worker.leave()
