"""What runs on a lent GPU is rehearsed here: small, on the CPU, with crashes and time limits."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import emulated
import numpy as np
import pytest
from PIL import Image

from experiments.benchmarks import gpu_first, gpu_kernels, gpu_study, photographs, snapshot
from experiments.benchmarks.photographs import Pictures
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.storage.store import read_runs

ROOT = Path(__file__).parents[2]


def command(module, *arguments, seconds=600):
    line = [sys.executable, "-m", f"experiments.benchmarks.{module}", *arguments]
    environment = {**os.environ, "CXX": ""}  # as on a GPU, XLA's products
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False, env=environment)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def made_pictures(count=64, size=32):
    rng = np.random.default_rng(0)
    encoded = []
    for _ in range(count):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(file, "JPEG")
        encoded.append(file.getvalue())
    about = {"name": "tfds:made", "classes": ["cat", "dog"], "train_count": count * 3 // 4, "fingerprints": {}}
    return Pictures(encoded, [i % 2 for i in range(count)], about)


def test_what_is_packed_in_parts_is_unpacked_as_it_was(tmp_path):
    content = made_pictures()
    paths = photographs.write(content, tmp_path / "a", most_bytes=30_000)
    assert len(paths) > 1
    (tmp_path / "b").mkdir()
    paths[-1].rename(tmp_path / "b" / paths[-1].name)
    found = photographs.read([tmp_path / "a", tmp_path / "b"])
    assert found.encoded == content.encoded
    assert found.labels == content.labels
    dataset = photographs.unpacked(found, 32)
    assert dataset.train_images.shape == (48, 32, 32, 3)
    np.testing.assert_array_equal(dataset.val_images[0], np.asarray(Image.open(io.BytesIO(content.encoded[48]))))
    assert dataset.val_labels.tolist() == content.labels[48:]


def test_parts_that_are_missing_and_pictures_that_are_others_are_told(tmp_path):
    content = made_pictures()
    photographs.write(content, tmp_path, most_bytes=30_000)[0].unlink()
    with pytest.raises(EnvironmentFault, match="of the 3 parts of the photographs 1, 2 lie in"):
        photographs.read([tmp_path])
    content.about["fingerprints"]["32"] = "0" * 64
    with pytest.raises(EnvironmentFault, match="decoded here the photographs are others"):
        photographs.unpacked(content, 32)


def test_the_packed_photographs_are_those_of_the_prepared_set(tmp_path, cats_vs_dogs):
    content = photographs.of_tfds("cats_vs_dogs", str(cats_vs_dogs), ())
    assert len(content.encoded) == len(content.labels) == 23_262
    assert content.about["train_count"] == 18_610
    first = photographs.pictures.decode(content.encoded[0], 128, 128, 3)
    assert first.shape == (128, 128, 3)
    assert sum(map(len, content.encoded)) < 2 * photographs.MOST_BYTES


def made_workdir(folder, runs=3, bytes_under_way=50_000):
    for i in range(runs):
        path = folder / "runs" / f"run{i}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([i]) * 1000)
    for step in ("9", "10"):
        path = folder / "checkpoints" / step / "arrays" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(bytes_under_way))
    (folder / "config.json").write_text("{}")
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_snapshot_holds_the_runs_and_the_newest_checkpoint_in_small_files_and_joins_what_is_there(tmp_path):
    workdir = made_workdir(tmp_path / "w")
    assert snapshot.taken(workdir, tmp_path / "out", most_bytes=20_000, most_files=5) == []
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) > 3
    assert max(path.stat().st_size for path in files) <= 20_000
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True)
    (home / "runs" / "run0.parquet").write_bytes(b"mine")
    assert snapshot.joined(tmp_path / "out", home) == (2, 1)
    found = contents(home)
    assert found.pop("runs/run0.parquet") == b"mine"
    assert found.items() <= contents(workdir).items()
    assert "checkpoints/10/arrays/file" in found
    assert snapshot.joined(tmp_path / "out", home) == (0, 0)


def test_a_checkpoint_that_does_not_fit_is_left_out_and_told(tmp_path):
    workdir = made_workdir(tmp_path / "w", bytes_under_way=200_000)
    left_out = snapshot.taken(workdir, tmp_path / "out", most_bytes=20_000, most_files=5)
    assert left_out == ["checkpoints/10"]
    assert snapshot.joined(tmp_path / "out", tmp_path / "home") == (3, 0)
    with pytest.raises(EnvironmentFault, match="finished runs are more than 1 files may hold"):
        snapshot.taken(workdir, tmp_path / "out", most_bytes=2_000, most_files=1)


def test_half_a_snapshot_is_refused(tmp_path):
    snapshot.taken(made_workdir(tmp_path / "w"), tmp_path / "out", most_bytes=20_000)
    (tmp_path / "out" / "study.001").unlink()
    with pytest.raises(EnvironmentFault, match="holds no whole snapshot"):
        snapshot.joined(tmp_path / "out", tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_what_decides_whether_to_go_on_is_vital_and_comes_first():
    steps = gpu_first.steps(gpu_first.Sizes(), Path("out"))
    vital = [step.name for step in steps if step.vital]
    assert vital == ["versions", "masks", "right at 16", "right at 128", "right epoch"]
    assert [step.name for step in steps].index("compile") > [step.name for step in steps].index(vital[-1])
    assert len({step.name for step in steps}) == len(steps)
    timed = [step.options["slots"] for step in steps if step.name.startswith("epoch")]
    assert set(timed) == {1, 16, 64, 123}


@pytest.mark.parametrize(("layer", "products"), [(0, 0), (1, 0), (2, 3)])
@pytest.mark.skipif(not emulated.available(), reason="there is no C++ compiler")
def test_a_block_of_the_kernels_in_cuda_is_held_to_the_layers(layer, products, monkeypatch):
    told = []
    options = {"layer": layer, "size": 8, "slots": 2, "batch": 3, "products": products}
    gpu_kernels.block(lambda **numbers: told.append(numbers), **options)
    assert max(told[0][name] for name in ("y", "d_kernel", "d_bias", "d_scale", "d_offset")) < 1e-5
    assert ("d_x" in told[0]) == (layer > 0)
    monkeypatch.setattr(
        gpu_kernels, "_by_products", lambda *a, seed, **k: 1.01 * gpu_kernels._by_kernels(*a, seed=seed)
    )
    with pytest.raises(ValueError, match="the kernels of block"):
        gpu_kernels.block(lambda **numbers: None, **options)


@pytest.mark.slow
def test_the_first_light_is_rehearsed(tmp_path):
    result = command("gpu_first", "--rehearse", f"--output={tmp_path}", "--minutes=15", seconds=1000)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = lines_of(tmp_path / "first.jsonl")
    ends = {line["step"]: line["status"] for line in lines if "status" in line}
    assert ends.pop("epoch, plain, float32, 1") == "done"
    failed = {name for name, status in ends.items() if status != "done"}
    # Without a GPU its own kernels cannot be had, and only they.
    assert {name for name in failed if not name.startswith(("own", "epoch, cuda", "PyTorch"))} == set(), lines
    timed = [line for line in lines if "us" in line and line["step"].startswith("epoch")]
    assert len(timed) == 5
    assert all(line["us"] > 0 for line in timed)
    assert sum("us_and_count" in line for line in lines) > 0


@pytest.mark.slow
def test_a_study_out_of_time_goes_on_from_its_snapshot_elsewhere_to_the_same_results(tmp_path, monkeypatch):
    photographs.write(made_pictures(), tmp_path / "packs", most_bytes=30_000)

    class OutOfTime(gpu_study.Told):
        def epoch(self, *about):
            super().epoch(*about)
            self.until = 0.0 if self.epochs >= 9 else self.until

    def trained(name, told=gpu_study.Told):
        monkeypatch.setattr(gpu_study, "Told", told)
        lines = []
        options = {"packs": [str(tmp_path / "packs")], "image_size": 8, "seeds": 1, "slots": 16, "max_epochs": 4}
        begin = time.time()
        where = {"workdir": str(tmp_path / name), "part": "best", "until": begin + 3600}
        gpu_study.train(lambda **numbers: lines.append(numbers), **where, **options)
        return lines

    whole, first = trained("whole"), trained("first", OutOfTime)
    assert whole[-1] == {"finished": 10, "of": 10, "pending": 0}
    assert first[-2]["ended"].startswith("the time is up")
    assert first[-1]["pending"] > 0
    assert snapshot.taken(tmp_path / "first", tmp_path / "out") == []
    assert snapshot.joined(tmp_path / "out", tmp_path / "second")[1] == 1
    assert trained("second")[-1] == whole[-1]
    both = [read_runs(tmp_path / name) for name in ("whole", "second")]
    assert both[0].keys() == both[1].keys()
    for name, history in both[0].items():
        for curve, values in history.curves.items():
            np.testing.assert_array_equal(values, both[1][name].curves[curve], err_msg=f"{name} {curve}")


def test_no_epoch_is_begun_that_would_end_too_late():
    told = gpu_study.Told(print, 1, time.time() + 20)
    assert not told.is_over()
    told.asked -= 30  # an epoch before
    assert told.is_over()


@pytest.mark.slow
def test_the_study_is_rehearsed_and_joins_a_store(tmp_path):
    photographs.write(made_pictures(), tmp_path / "packs", most_bytes=30_000)
    small = ("--image_size=8", "--max_epochs=2", "--parts=best", "--minutes=12")
    where = (f"--packs={tmp_path}/packs", f"--output={tmp_path}/out", f"--workdir={tmp_path}/w")
    result = command("gpu_study", *small, *where, seconds=800)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = lines_of(tmp_path / "out" / "study.jsonl")
    assert [line["finished"] for line in lines if "finished" in line] == [10]
    assert max(lines[-1]["files"].values()) < 16 << 20
    joined = command("gpu_study", f"--join={tmp_path}/out", f"--workdir={tmp_path}/home")
    assert joined.returncode == 0, joined.stderr
    assert len(read_runs(tmp_path / "home")) == 8


def test_without_photographs_it_ends_with_a_line(tmp_path):
    result = command("gpu_study", f"--packs={tmp_path}", f"--output={tmp_path}/out", f"--workdir={tmp_path}/w")
    assert result.returncode == 1
    assert "there are no photographs to train on" in result.stderr
    assert lines_of(tmp_path / "out" / "study.jsonl")[0]["status"] == "failed"
