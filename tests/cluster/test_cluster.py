"""A study on a real Ray cluster of two one-core machines: the results of one machine, whatever is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import small
from compared import assert_identical, by_run

from jaxopt_study.report import tables
from jaxopt_study.settings import Machines
from jaxopt_study.storage import workdir

pytest.importorskip("ray", reason="Ray is the extra 'cluster'")

pytestmark = [
    # Ray starts processes by fork and exec; between the two nothing of JAX is touched.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    # Of Ray's own, at interpreter and connection level.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
]
RUNS = small.grid()  # 6
LONG = {"epochs": 60, "slots": 3, "patience": 99}


@pytest.fixture(scope="module")
def machines():
    """Two machines of a core each, beside one without cores that the driver is on."""
    import ray
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "helpers"))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        patch.undo()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The long study on this machine, in the program that a worker has."""
    return by_run(small.study(tmp_path_factory.mktemp("whole"), RUNS, devices=1, **LONG).train())


def clustered(folder: Path, runs=RUNS, watcher=None, make_model=small.model, **options):
    from jaxopt_study.cluster import driver

    study = small.study(folder, runs, **options)
    study.model = small.MODEL._replace(factory=make_model)
    return driver.train(study, Machines(cluster="auto", cpus_per_worker=1), watcher)


@pytest.fixture(autouse=True)
def bounded():
    """No test waits for ever: a cluster that does not answer fails it."""

    def late(*_):
        raise TimeoutError("the cluster took more than five minutes")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Told:
    """What a watcher hears, and what is to be done when epochs have been trained and more are under way."""

    def __init__(self, act=None):
        from jaxopt_study.engine.watcher import Watcher

        self.ended, self.epochs, self.workers, self.act = [], [], [], act
        self.watcher = Watcher(epoch=self.epoch, end=self.end, workers=self.workers.append, tick=self.tick)

    def epoch(self, run, number, metrics):
        self.epochs.append((run, number))

    def tick(self, driver):
        if self.act and len(self.epochs) >= 20 and driver.active:
            act, self.act = self.act, None
            act(driver)

    def end(self, run, history):
        self.ended.append(run)


def slow_model():
    """The small network, on a worker that takes its time: three seconds and more for its share of the long study.

    A driver hears of epochs once a second; however fast the machine, it then hears of them while they are trained.
    """
    from jaxopt_study.engine import slots as scheduler

    read = scheduler.Scheduler._read

    def slowly(self) -> None:
        if self.flight:
            time.sleep(0.06)
        read(self)

    scheduler.Scheduler._read = slowly
    return small.MODEL


def deadly_model():
    """The small network, on a worker that cannot train a rate of 0.77."""
    from jaxopt_study.engine import slots as scheduler

    fill = scheduler.Scheduler._fill_slots

    def deadly(self) -> None:
        fill(self)
        if any(run and dict(run.hyperparameters)["learning_rate"] == 0.77 for run in self.slots):
            raise ValueError("nothing comes of 0.77")

    scheduler.Scheduler._fill_slots = deadly
    return small.MODEL


def kill_one(driver) -> None:
    os.kill(next(member.hello.process for member in driver.members.values() if member.active), signal.SIGKILL)


def same(histories, expected) -> None:
    found = by_run(histories)
    assert found.keys() == expected.keys()
    for key, history in expected.items():
        assert_identical(history, found[key])


def test_a_cluster_gives_the_results_of_one_machine(machines, tmp_path):
    options = {"epochs": 6, "slots": 3, "settings": {"test_share": 0.3}}  # with curves that not every study has
    whole = by_run(small.study(tmp_path / "one", RUNS, devices=1, **options).train())
    told = Told()
    same(clustered(tmp_path / "many", watcher=told.watcher, **options), whole)
    assert sorted(told.ended) == sorted(RUNS)
    assert sorted(told.epochs) == sorted((run, epoch) for run in RUNS for epoch in range(1, 7))
    assert max(told.workers) == 2
    stats = workdir.read_json(tmp_path / "many" / "stats.json")
    assert (stats["workers"], stats["devices"], stats["epochs_trained"], stats["runs"]) == (2, 2, 36, 6)
    again = Told()
    assert len(clustered(tmp_path / "many", watcher=again.watcher, **options)) == len(RUNS)
    assert not again.epochs


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_nothing_ends_twice(machines, undisturbed, tmp_path):
    told = Told(kill_one)
    same(clustered(tmp_path, watcher=told.watcher, make_model=slow_model, **LONG), undisturbed)
    assert sorted(told.ended) == sorted(RUNS)
    stats = workdir.read_json(tmp_path / "stats.json")
    assert stats["parts"][0]["workers_lost"] == 1
    assert len(list((tmp_path / "runs").iterdir())) == len(RUNS)


@pytest.mark.slow
def test_a_run_that_fells_its_worker_is_recorded_as_failed_and_the_others_finish(machines, tmp_path):
    bad = small.grid(rates=(0.77,), momenta=(0.9,))
    histories = clustered(tmp_path, [*RUNS[:3], *bad], make_model=deadly_model, epochs=3, slots=4)
    failed = [history for history in histories if history.status == "failed"]
    assert [history.hyperparameters["learning_rate"] for history in failed] == [0.77]
    assert failed[0].reason == "ValueError: nothing comes of 0.77 (3 times)"
    assert [history.status for history in histories[:3]] == ["finished"] * 3
    assert tables.summary(histories).rows[-1][-1] == failed[0].reason


def test_each_worker_of_a_machine_keeps_to_cores_of_its_own_while_there_are_any(tmp_path, monkeypatch):
    from jaxopt_study.cluster.worker import keep_to_cores

    def worker():
        return keep_to_cores(1), os.sched_getaffinity(0)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cores = os.sched_getaffinity(0)
    threads = [ThreadPoolExecutor(1) for _ in range(len(cores) + 1)]
    *kept, (lock, rest) = [thread.submit(worker).result() for thread in threads]
    assert sorted(core for _, own in kept for core in own) == sorted(cores)
    assert lock is None
    assert rest == cores


@pytest.mark.slow
def test_a_machine_that_is_removed_loses_nothing(machines, undisturbed, tmp_path):
    def remove(_) -> None:
        machines.remove_node(machines.list_all_nodes()[-1], allow_graceful=False)
        machines.add_node(num_cpus=1)

    told = Told(remove)
    same(clustered(tmp_path, watcher=told.watcher, make_model=slow_model, **LONG), undisturbed)
    assert sorted(told.ended) == sorted(RUNS)


DRIVER = """
import sys; sys.path.insert(0, {tests!r})
if __name__ == "__main__":
    from jaxopt_study.cluster import connect, driver
    connect.connect("local")
    import small; from pathlib import Path; from jaxopt_study.settings import Machines
    study = small.study(Path({folder!r}), small.grid(), epochs={epochs}, slots=3, patience=99)
    driver.train(study, Machines(cluster="local", cpus_per_worker=1))
"""


def start(folder: Path, epochs: int) -> subprocess.Popen:
    tests = str(Path(__file__).parents[1] / "helpers")
    environment = {**os.environ, "PYTHONPATH": tests, "JAX_PLATFORMS": "cpu", "RAY_ADDRESS": ""}
    code = DRIVER.format(tests=tests, folder=str(folder), epochs=epochs)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_killed_driver_started_again_finishes_the_study(undisturbed, tmp_path):
    process = start(tmp_path, 60)
    while process.poll() is None and not list((tmp_path / "runs").glob("*.parquet")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.parquet")}
    assert 0 < len(kept) < len(RUNS)
    assert start(tmp_path, 60).wait() == 0
    same(small.study(tmp_path, RUNS, **LONG).histories, undisturbed)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


LISTENING = """
import psutil, sys
from jaxopt_study.cluster import connect
connect.connect("local")
mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
found = [c.laddr.ip for process in mine for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
print(len(found), *{ip.removeprefix("::ffff:") for ip in found})
"""


def test_a_private_instance_listens_on_this_machine_alone_and_leaves_no_token(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_ADDRESS": ""}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], env=environment, capture_output=True, text=True, timeout=110
    )
    count, *addresses = done.stdout.split()
    assert int(count) > 3, done.stderr
    assert addresses == ["127.0.0.1"]
    assert not list(tmp_path.rglob("*token*"))
