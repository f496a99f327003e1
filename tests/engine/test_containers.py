"""What a container allows: its share of the cores and of the memory, and one copy of the data for all of them."""

import jax
import numpy as np
import psutil
import pytest
import small

from jaxopt_study.data.dataset import aligned, batches_of
from jaxopt_study.engine import cgroups, devices, memory
from jaxopt_study.engine.sweep import Sweep

V1 = "4:memory:/docker/x\n1:cpu,cpuacct:/docker/x\n0::/\n"


def machine(root, group, files):
    """A machine with such control groups."""
    for name, text in {"proc/self/cgroup": group, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"sys/fs/cgroup/a/cpu.max": "200000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 2.0),
        ("0::/../../pod\n", {"sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        ("0::/a\n", {"sys/fs/cgroup/unified/a/cpu.max": "300000 100000"}, 3.0),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 4.0),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        ("", {}, None),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "rubbish"}, None),
    ],
)
def test_quotas_of_both_versions_are_read(group, files, cores, tmp_path):
    assert cgroups.cores(machine(tmp_path, group, files)) == cores


@pytest.mark.parametrize(
    ("group", "files", "left"),
    [
        ("0::/\n", {"max": "1000", "current": "700", "stat": "anon 5\ninactive_file 100\n"}, 400),
        ("0::/\n", {"max": "max", "current": "700", "stat": ""}, None),
        ("0::/\n", {"max": "500", "current": "700", "stat": ""}, 0),
        (V1, {"limit_in_bytes": "1000", "usage_in_bytes": "700", "stat": "total_inactive_file 50"}, 350),
    ],
)
def test_limits_of_memory_of_both_versions_are_read(group, files, left, tmp_path):
    where = "sys/fs/cgroup/" + ("memory/" if group == V1 else "")
    root = machine(tmp_path, group, {f"{where}memory.{name}": text for name, text in files.items()})
    assert cgroups.memory_left(root) == left


def test_devices_and_memory_keep_to_them(monkeypatch):
    monkeypatch.setattr(cgroups, "cores", lambda: 0.5)
    assert devices.cpu_cores() == 1
    monkeypatch.setattr(cgroups, "cores", lambda: 10_000.0)
    monkeypatch.setattr(cgroups, "memory_left", lambda: 4_000_000)
    assert devices.cpu_cores() < 10_000
    assert memory.free_bytes(jax.devices()[0]) == 4_000_000 // jax.device_count()
    monkeypatch.setattr(cgroups, "memory_left", lambda: None)
    assert memory.free_bytes(jax.devices()[0]) > 4_000_000
    monkeypatch.setattr(cgroups, "memory_left", lambda: 1 << 62)
    assert memory.free_bytes(jax.devices()[0]) <= psutil.virtual_memory().total


def test_all_cores_train_on_one_copy_of_the_data(tmp_path):
    study = small.study(tmp_path, small.grid())
    batches = study.batches(16)
    sweep = Sweep(study.program(study.groups[0], "map"), batches, jax.devices())
    for host, placed in zip(batches.train + batches.val, sweep.batches.train + sweep.batches.val, strict=True):
        assert {shard.data.unsafe_buffer_pointer() for shard in placed.addressable_shards} == {host.ctypes.data}
        assert len(placed.addressable_shards) == jax.device_count() > 1


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_batches_are_aligned_whatever_their_sizes(dtype):
    for shape in ((1,), (3, 5), (7, 1, 3)):
        array = aligned(shape, np.dtype(dtype))
        assert (array.shape, array.dtype, array.ctypes.data % 64) == (shape, dtype, 0)


def test_the_last_validation_batch_is_filled_up_with_examples_that_do_not_count():
    data = small.dataset()
    images, labels, weights = batches_of(data, batch_size=8, val_batch_size=len(data.val_labels) - 1, seed=0).val
    flat = images.reshape(-1, *images.shape[2:])
    np.testing.assert_array_equal(flat[: len(data.val_labels)], data.val_images)
    np.testing.assert_array_equal(labels.ravel()[: len(data.val_labels)], data.val_labels)
    assert weights.sum() == len(data.val_labels)
    assert weights.dtype == np.float32
