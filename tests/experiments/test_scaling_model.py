import csv
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.benchmarks.scaling_model import Costs, Row, draw_seconds, simulate
from jaxopt_study.cluster.shares import Capacity
from jaxopt_study.plots import style

ROOT = Path(__file__).parents[2]
ONE = Capacity(8, 1, True)
FREE = Costs(start=0.0, epoch=1.0, batched=0.1, answer=0.0, poll=1.0)


def test_one_worker_takes_the_sum_of_all_epochs_whatever_their_order():
    assert simulate([5, 1, 30, 4], 1, ONE, FREE).makespan == pytest.approx(40)
    assert simulate([5, 1, 30, 4], 1, ONE, FREE).idle_share == pytest.approx(0, abs=1e-9)


def test_equal_runs_divide_evenly_and_one_long_run_is_waited_for():
    assert 100 <= simulate([10] * 40, 4, ONE, FREE).makespan <= 110
    alone = simulate([10] * 3, 4, ONE, FREE)
    assert alone.makespan == pytest.approx(10)
    assert alone.idle_share == pytest.approx(0.25)


def test_a_batched_program_trains_its_slots_for_little_more_than_one_run():
    batched = simulate([10] * 8, 1, Capacity(8, 1, False), FREE)
    assert batched.makespan == pytest.approx(10 * 1.7)


def test_a_slow_driver_holds_many_workers_up():
    slow = FREE._replace(answer=1.0)
    held_up, free = (simulate([1] * 1000, 100, ONE, costs) for costs in (slow, FREE))
    assert held_up.makespan > 10 * free.makespan
    assert held_up.driver_load > 0.9


def test_the_axis_of_workers_has_plain_numbers():
    rows = [Row(workers, 10, 9.0 / workers, 1.0, 0.0, 0.0, None) for workers in (1, 10, 100)]
    with style.applied():
        figure, (axes, _) = style.panels(2, "")
        draw_seconds(axes, rows)
        figure.canvas.draw()
    assert {"1", "10", "100"} <= {text.get_text() for text in axes.get_xticklabels()}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "experiments.benchmarks.scaling_model", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_writes_table_and_figure_and_refuses_bad_input(tmp_path):
    flags = ("--epoch_seconds=2", "--epochs=10,50", "--runs=500", "--counts=1,2,100", f"--output={tmp_path}")
    done = command(*flags)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "scaling_model.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["workers"]) for row in rows] == [1, 2, 100]
    assert float(rows[1]["efficiency"]) > 0.95
    assert (tmp_path / "scaling_model.png").stat().st_size > 10_000
    bad = command("--epoch_seconds=2", "--epochs=ten")
    assert bad.returncode == 2
    assert bad.stderr == "error: --epochs=ten: allowed is a comma-separated list of whole numbers from 1\n"
