"""What is held back of the validation split is measured, and nothing else depends on it."""

import math
from pathlib import Path

import numpy as np
import pytest
import small
from compared import assert_close, assert_identical, by_run

from jaxopt_study.analysis.minima import minimum
from jaxopt_study.data import Dataset
from jaxopt_study.data.dataset import held_back
from jaxopt_study.engine.watcher import Interrupted, Watcher
from jaxopt_study.errors import InputError
from jaxopt_study.history import CURVES, TEST_CURVES, History
from jaxopt_study.settings import Settings
from jaxopt_study.storage.store import load_runs

SHARE = 0.4
HELD = {"test_share": SHARE}


def part(indices: np.ndarray) -> Dataset:
    """The small data set with some of its validation examples only."""
    data = small.dataset()
    return data._replace(val_images=data.val_images[indices], val_labels=data.val_labels[indices])


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_validation_and_test_curves_are_those_of_studies_that_have_one_part_each(tmp_path: Path, strategy: str) -> None:
    runs = small.grid()
    options = {"slots": 4, "devices": 2, "strategy": strategy}
    both = by_run(small.study(tmp_path / "both", runs, settings=HELD, **options).train())
    kept, held = (
        by_run(small.study(tmp_path / str(at), runs, data=part(indices), **options).train())
        for at, indices in enumerate(held_back(small.dataset().val_labels, SHARE))
    )
    for key, run in both.items():
        assert tuple(run.curves) == (*CURVES, *TEST_CURVES)
        alone = {name: run.curves[name] for name in CURVES}
        assert_close(History(run.optimizer, run.hyperparameters, run.seed, run.status, alone), kept[key])
        for test, val in zip(TEST_CURVES, ("val_loss", "val_accuracy"), strict=True):
            np.testing.assert_allclose(run.curves[test], held[key].curves[val], rtol=2e-5, atol=1e-6)


def test_a_run_is_another_run_where_something_is_held_back_and_the_same_where_nothing_is(tmp_path: Path) -> None:
    (run,) = small.grid((0.03,), (0.9,))
    usual = small.study(tmp_path, [run]).fingerprints[run]
    assert small.study(tmp_path, [run], settings={"test_share": 0.0}).fingerprints[run] == usual
    several = {small.study(tmp_path, [run], settings={"test_share": share}).fingerprints[run] for share in (0.3, 0.4)}
    assert len({usual, *several}) == 3


def test_an_interrupt_and_halving_lose_no_test_curve(tmp_path: Path) -> None:
    options = {"slots": 2, "devices": 1, "epochs": 8, "settings": {**HELD, "halving": 2}}
    whole = by_run(small.study(tmp_path / "whole", small.grid(), **options).train())
    for ticks in (2, 7):
        seen: list[int] = []
        stopping = Watcher(tick=lambda _, seen=seen: seen.append(1), interrupted=lambda n=ticks, s=seen: len(s) >= n)
        with pytest.raises(Interrupted):
            small.study(tmp_path / "parts", small.grid(), **options).train(stopping)
    resumed = by_run(small.study(tmp_path / "parts", small.grid(), **options).train())
    assert {run.status for run in whole.values()} == {"halved", "finished"}
    assert resumed.keys() == whole.keys()
    for key, run in whole.items():
        assert len(run.curves["test_loss"]) == run.epochs
        assert_identical(run, resumed[key])


def test_one_store_holds_runs_with_test_curves_and_without(tmp_path: Path) -> None:
    runs = small.grid((0.03,), (0.9,))
    (without,) = small.study(tmp_path, runs).train()
    (tested,) = small.study(tmp_path, runs, settings=HELD).train()
    (again,) = small.study(tmp_path, runs).train()
    assert_identical(again, without)
    assert_identical(small.study(tmp_path, runs, settings=HELD).histories[0], tested)
    table = load_runs(tmp_path)
    assert table["test_loss"].null_count == without.epochs == len(table) / 2


def test_the_watcher_hears_of_test_losses(tmp_path: Path) -> None:
    heard: list[dict[str, float]] = []
    watcher = Watcher(epoch=lambda run, number, metrics: heard.append(dict(metrics)))
    (run,) = small.study(tmp_path, small.grid((0.03,), (0.9,)), settings=HELD).train(watcher)
    assert [metrics["test_loss"] for metrics in heard] == run.curves["test_loss"].tolist()


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, math.nan, "0.2", True])
def test_a_share_out_of_range_is_refused(share: object) -> None:
    with pytest.raises(InputError, match="test_share"):
        Settings(test_share=share)  # type: ignore[arg-type]


def test_the_epoch_of_the_lowest_validation_loss_is_found_without_the_test_part(tmp_path: Path) -> None:
    (run,) = small.study(tmp_path, small.grid((0.3,), (0.9,)), settings=HELD, patience=2, epochs=30).train()
    assert run.status == "stopped"
    assert run.epochs == (minimum(run.curves["val_loss"]).epoch or 0) + 2
