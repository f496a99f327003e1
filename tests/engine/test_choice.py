"""The fastest way is found by timing, once, and kept; whatever goes wrong with keeping it changes no result."""

import json
from importlib import metadata
from pathlib import Path

import jax
import pytest
import small

from jaxopt_study import files
from jaxopt_study.engine import choice
from jaxopt_study.engine.choice import Way
from jaxopt_study.errors import InputError
from jaxopt_study.kernels import library
from jaxopt_study.models.build import article_model
from jaxopt_study.settings import Settings

MAP, VMAP, PLAIN = Way("map", "phases"), Way("vmap", "phases"), Way("map", "flax")
WAYS = [MAP, VMAP, PLAIN]
SECONDS = {MAP: 2.0, VMAP: 1.5, PLAIN: 9.0}


class Clock:
    """Tells made seconds and how often it was asked."""

    def __init__(self, seconds=SECONDS):
        self.seconds, self.asked = seconds, dict.fromkeys(seconds, 0)

    def __call__(self, way):
        if self.seconds[way] is None:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no memory")

        def timer():
            self.asked[way] += 1
            return self.seconds[way]

        return timer


def test_the_fastest_way_is_chosen_and_found_again_without_timing(tmp_path):
    first, second = Clock(), Clock()
    assert choice.fastest(WAYS, first, {"shape": 8}, tmp_path) == VMAP
    assert choice.fastest(WAYS, second, {"shape": 8}, tmp_path) == VMAP
    assert sum(first.asked.values()) > 0
    assert sum(second.asked.values()) == 0


def test_another_shape_is_timed_anew(tmp_path):
    choice.fastest(WAYS, Clock(), {"shape": 8}, tmp_path)
    assert choice.fastest(WAYS, Clock({**SECONDS, MAP: 1.0}), {"shape": 32}, tmp_path) == MAP
    assert len(list(tmp_path.iterdir())) == 2


def test_a_hopeless_way_is_timed_once_only(tmp_path):
    clock = Clock()
    choice.fastest(WAYS, clock, {}, tmp_path)
    assert clock.asked == {MAP: 1 + choice.TURNS, VMAP: 1 + choice.TURNS, PLAIN: 1}


def test_a_form_that_is_hopeless_one_way_is_not_compiled_for_another(tmp_path):
    plain_by_vmap = Way("vmap", PLAIN.form)
    clock = Clock({**SECONDS, plain_by_vmap: 0.001})
    assert choice.fastest([*WAYS, plain_by_vmap], clock, {}, tmp_path) == VMAP
    assert clock.asked[plain_by_vmap] == 0


def test_a_few_steps_come_with_their_share_of_the_validation_data(tmp_path):
    study = small.study(tmp_path, small.grid())
    data = study.dataset
    batches = study.batches(16, 2)
    assert batches.train[1].shape == (2, 16)
    assert batches.val[2].sum() == -(-32 * len(data.val_labels) // len(data.train_labels))


def test_a_way_without_enough_memory_is_not_chosen(tmp_path):
    assert choice.fastest(WAYS, Clock({**SECONDS, VMAP: None}), {}, tmp_path) == MAP


def test_a_damaged_file_is_written_anew(tmp_path):
    choice.fastest(WAYS, Clock(), {}, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert choice.fastest(WAYS, Clock({**SECONDS, MAP: 1.0}), {}, tmp_path) == MAP
    assert json.loads(path.read_text())["fastest"] == list(MAP)


def test_where_nothing_can_be_kept_it_is_the_first_way_each_time(tmp_path):
    (tmp_path / "file").write_text("")
    assert choice.fastest(WAYS, Clock(), {}, tmp_path / "file" / "folder") == MAP


@pytest.mark.parametrize(("platform", "strategy"), [("cpu", "map"), ("gpu", "vmap")])
def test_the_usual_way_of_a_platform_comes_first(platform, strategy):
    found = choice.ways(["vmap", "map"], ["a", "b"], platform)
    assert found[0] == Way(strategy, "a")
    assert len(set(found)) == 4


def test_only_a_long_study_is_worth_the_timing():
    digits, photographs = 1437 * 64, 18_610 * 128 * 128 * 3
    assert choice.is_short(digits * 369 * 20, "cpu")
    assert not choice.is_short(photographs * 25 * 1000, "cpu")
    assert not choice.is_short(photographs * 25 * 1000, "gpu")


@pytest.mark.parametrize("kernels_in_c", [True, False])
def test_kernels_limit_the_forms(kernels_in_c, monkeypatch):
    monkeypatch.setattr(library, "available", lambda: kernels_in_c)
    native = ["native"] if kernels_in_c else []
    assert article_model(kernels="plain").forms_on("cpu") == ["plain"]
    assert article_model(kernels="fast").forms_on("cpu") == [*native, "phases", "im2col"]
    assert article_model(kernels="auto").forms_on("cpu") == [*native, "phases", "im2col", "flax"]
    assert article_model(kernels="auto").forms_on("gpu") == ["im2col", "phases", "flax"]
    assert small.MODEL.forms_on("gpu") == [""]


def test_a_study_trains_in_the_way_that_was_measured(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(choice, "SHORT", {"cpu": 0.0})
    study = small.study(tmp_path / "w", small.grid()[:2], epochs=1)
    study.train()
    (path,) = (tmp_path / "cache" / "choices").iterdir()
    kept = json.loads(path.read_text())
    assert list(study.way) == kept["fastest"] == min(kept["seconds"], key=kept["seconds"].get).split("/")
    assert len(kept["seconds"]) == 2


def test_precision_is_part_of_what_a_run_is_only_where_it_is_not_the_default():
    assert "matmul_precision" not in Settings().identity()
    assert Settings(matmul_precision="bfloat16").identity()["matmul_precision"] == "bfloat16"
    assert article_model().identity != article_model(activations="bfloat16").identity


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match=r"float16.*allowed are float32, tensorfloat32, bfloat16"):
        Settings(matmul_precision="float16")


def test_a_checkout_that_is_not_installed_has_a_machine_all_the_same(monkeypatch):
    version = metadata.version

    def of_a_clone(name):
        if name.replace("_", "-") == "jaxopt-study":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", of_a_clone)
    assert choice.machine()["versions"] == [None, version("jax"), version("jaxlib")]
