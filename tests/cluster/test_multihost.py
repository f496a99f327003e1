"""One study over two processes that JAX joins."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import small
from begun import interrupt, resumed
from children import ENVIRONMENT
from compared import assert_identical, by_run

from jaxopt_study.engine.groups import part
from jaxopt_study.grids.run import product
from jaxopt_study.storage import workdir

JOIN = """
import sys; sys.path.insert(0, {tests!r})
import jax; jax.config.update("jax_num_cpu_devices", 2)
from pathlib import Path
from jaxopt_study.cluster import hosts
hosts.join("127.0.0.1:{port}", 2, {process})
import small
"""
SAVE_OFTEN = """
import numpy as np
from jaxopt_study.grids.run import signature
from jaxopt_study.storage.checkpoint import Checkpoints
from jaxopt_study.storage.parked import Parked
checkpoints = Checkpoints(Path({folder!r}) / "process_{process}", {{}}, repr, process={process})
run = small.grid()[0]
parked = Parked(np.zeros((1, 2), np.float32), {{"w": np.full(4, {process}, np.float32)}})
for _ in range(20):
    checkpoints.save({{run: parked}})
checkpoints.wait()
checkpoints.close()
checkpoints = Checkpoints(Path({folder!r}) / "process_{process}", {{}}, repr, process={process})
(found,) = checkpoints.load([run], {{signature(run): parked.state}}).values()
assert (found.rows == parked.rows).all() and (found.state["w"] == {process}).all(), found
"""


STOP = """
assert len(jax.devices()) == 4 and len(jax.local_devices()) == 2
from jaxopt_study.engine.watcher import Interrupted, Watcher
ticks = []
told = Watcher(tick=lambda _: ticks.append(1), interrupted=lambda: {process} == 1 and len(ticks) >= 2)
try:
    hosts.train(small.study(Path({folder!r}), small.grid(), epochs=5), told)
except Interrupted:  # the first process too, though only the second has had a signal
    sys.exit()
sys.exit(3)
"""
RESUME = """
from jaxopt_study.engine.watcher import Watcher
numbers = []
told = Watcher(epoch=lambda run, number, metrics: numbers.append(number))
hosts.train(small.study(Path({folder!r}), small.grid(), epochs=5), told)
assert numbers or not {process}
assert 1 not in numbers, numbers  # no run was begun again
"""
FAIL = """
from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.storage import store
def full(*_, **__):
    raise OSError(28, "No space left on device")
epochs = 10**6  # of the first process, which would go on for hours
if {process} == 1:
    store.pq.write_table, epochs = full, 2
try:
    hosts.train(small.study(Path({folder!r}), small.grid(), epochs=epochs, patience=10**6))
except EnvironmentFault as error:
    print(error, file=sys.stderr)
    sys.exit()
sys.exit(3)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(folder: Path, port: int, process: int, does: str) -> subprocess.Popen:
    code = (JOIN + does).format(
        tests=str(Path(__file__).parents[1] / "helpers"), port=port, process=process, folder=str(folder)
    )
    return subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def together(folder: Path, does: str) -> list[str]:
    """What two processes that share a folder say on stderr; they must both end well."""
    port = free_port()
    processes = [start(folder, port, process, does) for process in (0, 1)]
    try:
        told = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], told
    return told


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A study that two processes have begun and left."""
    folder = tmp_path_factory.mktemp("stopped")
    together(folder, STOP)
    return folder


def test_two_processes_of_two_devices_stop_go_on_and_give_the_results_of_one_bit_for_bit(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "two")
    assert list((tmp_path / "two" / "checkpoints" / "process_1").iterdir())
    together(tmp_path / "two", RESUME)
    assert not list((tmp_path / "two").glob("stats_*.json"))
    stats = workdir.read_json(tmp_path / "two" / "stats.json")
    assert (stats["runs"], stats["devices"]) == (6, 4)
    whole = by_run(small.study(tmp_path / "one", small.grid(), epochs=5, slots=3, devices=2).train())
    found = by_run(small.study(tmp_path / "two", small.grid(), epochs=5).histories)
    assert found.keys() == whole.keys()
    for key, history in whole.items():
        assert_identical(history, found[key])


def test_what_was_begun_goes_on_with_another_number_of_processes(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "two")
    study = small.study(tmp_path / "two", small.grid(), epochs=5)
    assert 1 not in resumed(study)
    assert len(study.finished) == 6
    assert not list((tmp_path / "two" / "checkpoints").iterdir())
    interrupt(small.study(tmp_path / "one", small.grid(), epochs=5), 2)
    together(tmp_path / "one", RESUME)
    assert len(small.study(tmp_path / "one", small.grid(), epochs=5).finished) == 6
    assert not list((tmp_path / "one" / "checkpoints").iterdir())


@pytest.mark.slow
def test_processes_that_save_at_the_same_time_do_not_wait_for_each_other(tmp_path):
    together(tmp_path, SAVE_OFTEN)
    assert {path.name for path in tmp_path.glob("process_*/*")} == {"19", "20"}


@pytest.mark.slow
def test_an_error_in_one_process_ends_all_of_them(tmp_path):
    first, second = (line.splitlines()[-1] for line in together(tmp_path, FAIL))
    assert "the disk is full" in second
    assert first.startswith("--distributed: process 1 has ended (cannot write ")
    assert not (tmp_path / ".all_at_work").exists()


@pytest.mark.slow
def test_a_directory_that_another_job_holds_is_refused_by_all_processes(tmp_path):
    port = free_port()
    with workdir.locked(tmp_path):
        processes = [start(tmp_path, port, process, RESUME) for process in (0, 1)]
        told = [process.communicate(timeout=300)[1] for process in processes]
    assert "is at work there" in told[0]
    assert "the first process cannot use it" in told[1]


def test_parts_are_of_nearly_one_size_in_every_group_and_leave_nothing_out():
    runs = [*small.grid(seeds=3), *product("adam", {"learning_rate": (0.01,)}, 5)]
    parts = [part(runs, process, 4) for process in range(4)]
    assert sorted(run for part in parts for run in part) == sorted(runs)
    for optimizer in ("momentum", "adam"):
        sizes = [sum(run.optimizer == optimizer for run in part) for part in parts]
        assert max(sizes) - min(sizes) <= 1
