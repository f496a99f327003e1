"""The fastest strategy is found by timing, once, and kept; whatever goes wrong with keeping it changes no result."""

import json
from importlib import metadata
from pathlib import Path

import jax
import pytest
import small

from jaxopt_study import files
from jaxopt_study.engine import devices, strategy
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import make_run
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Settings

SECONDS = {"map": 2.0, "vmap": 1.5, "slow": 9.0}
NAMES = list(SECONDS)


class Clock:
    """Tells made seconds and how often it was asked."""

    def __init__(self, seconds=SECONDS):
        self.seconds, self.asked = seconds, dict.fromkeys(seconds, 0)

    def __call__(self, name):
        if self.seconds[name] is None:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no memory")

        def timer():
            self.asked[name] += 1
            return self.seconds[name]

        return timer


def test_the_fastest_is_chosen_and_found_again_without_timing(tmp_path):
    first, second = Clock(), Clock()
    assert strategy.fastest(NAMES, first, {"shape": 8}, tmp_path) == "vmap"
    assert strategy.fastest(NAMES, second, {"shape": 8}, tmp_path) == "vmap"
    assert sum(first.asked.values()) > 0
    assert sum(second.asked.values()) == 0


def test_another_shape_is_timed_anew(tmp_path):
    strategy.fastest(NAMES, Clock(), {"shape": 8}, tmp_path)
    assert strategy.fastest(NAMES, Clock({**SECONDS, "map": 1.0}), {"shape": 32}, tmp_path) == "map"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_hopeless_one_is_timed_once_only(tmp_path):
    clock = Clock()
    strategy.fastest(NAMES, clock, {}, tmp_path)
    assert clock.asked == {"map": 1 + strategy.REPEATS, "vmap": 1 + strategy.REPEATS, "slow": 1}


def test_a_few_steps_come_with_their_share_of_the_validation_data(tmp_path):
    study = small.study(tmp_path, small.grid())
    data = study.dataset
    batches = study.batches(16, 2)
    assert batches.train[1].shape == (2, 16)
    assert batches.val[2].sum() == -(-32 * len(data.val_labels) // len(data.train_labels))


def test_one_without_enough_memory_is_not_chosen(tmp_path):
    assert strategy.fastest(NAMES, Clock({**SECONDS, "vmap": None}), {}, tmp_path) == "map"


def test_a_damaged_file_is_written_anew(tmp_path):
    strategy.fastest(NAMES, Clock(), {}, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert strategy.fastest(NAMES, Clock({**SECONDS, "map": 1.0}), {}, tmp_path) == "map"
    assert json.loads(path.read_text())["fastest"] == "map"


def test_where_nothing_can_be_kept_it_is_the_first_each_time(tmp_path):
    (tmp_path / "file").write_text("")
    assert strategy.fastest(NAMES, Clock(), {}, tmp_path / "file" / "folder") == "map"


def test_cpus_choose_with_the_usual_first_and_accelerators_take_no_turns():
    assert strategy.usual_first("cpu") == ["map", "vmap"]
    assert strategy.usual_first("gpu") == strategy.usual_first("tpu") == ["vmap"]


def test_only_a_long_study_is_worth_the_timing():
    digits, photographs = 1437 * 64, 18_610 * 128 * 128 * 3
    assert strategy.is_short(digits * 369 * 20)
    assert not strategy.is_short(photographs * 25 * 1000)


def test_a_study_trains_by_the_strategy_that_was_measured(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(strategy, "SHORT", 0.0)
    study = small.study(tmp_path / "w", small.grid()[:2], epochs=1)
    study.train()
    (path,) = (tmp_path / "cache" / "choices").iterdir()
    kept = json.loads(path.read_text())
    assert study.strategy == kept["fastest"] == min(kept["seconds"], key=kept["seconds"].get)
    assert len(kept["seconds"]) == 2


def test_what_costs_more_than_arithmetic_is_timed_for_itself(tmp_path, monkeypatch):
    """Where matrices are decomposed, both may be one program: which then is the faster says nothing of others."""
    monkeypatch.setattr(strategy, "SHORT", 0.0)
    asked = []
    monkeypatch.setattr(strategy, "fastest", lambda names, timer_of, about, folder: asked.append(about) or names[0])
    for rules in (["sgd"], ["adam", "sgd"], ["soap"], ["sgd", "soap"]):
        assert small.study(tmp_path, [make_run(rule, {}, 0) for rule in rules for _ in range(2)]).strategy == "map"
    sgd, adam, soap, mixed = [{**about, "shape": about["shape"][:3]} for about in asked]
    assert sgd == adam
    assert soap != sgd
    assert mixed == soap


def test_precision_is_part_of_what_a_run_is_only_where_it_is_not_the_default():
    assert "matmul_precision" not in Settings().identity()
    assert Settings(matmul_precision="bfloat16").identity()["matmul_precision"] == "bfloat16"
    assert article_model().identity != article_model(activations="bfloat16").identity


def test_a_product_of_three_coarse_ones_is_asked_for_where_there_are_coarse_ones():
    asked = {platform: devices.precision("float32x3", platform) for platform in ("cpu", "gpu", "tpu")}
    assert asked == {"cpu": "float32", "gpu": "TF32_TF32_F32_X3", "tpu": "BF16_BF16_F32_X3"}
    assert {jax.lax.DotAlgorithmPreset[asked[platform]].name for platform in ("gpu", "tpu")} < set(asked.values())
    assert devices.precision("tensorfloat32", "gpu") == "tensorfloat32"


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match=r"float16.*allowed are float32, float32x3, tensorfloat32, bfloat16"):
        Settings(matmul_precision="float16")


def test_a_checkout_that_is_not_installed_has_a_machine_all_the_same(monkeypatch):
    version = metadata.version

    def of_a_clone(name):
        if name.replace("_", "-") == "jaxopt-study":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", of_a_clone)
    assert strategy.machine()["versions"] == [None, version("jax"), version("jaxlib")]
