"""Whatever a step does, what was found is on disk, the others go on, and the time is kept to."""

import json
import os
import time

import pytest

from experiments.benchmarks import stages
from experiments.benchmarks.stages import Record, Step


def tells(tell, count):
    for i in range(count):
        tell(number=i, process=os.getpid())


def raises(tell):
    tell(number=1)
    raise ValueError("so it is")


def crashes(tell):
    tell(number=1)
    print("last words", flush=True)
    os.abort()


def hangs(tell):
    tell(number=1)
    os.write(1, b"last words")
    time.sleep(600)


def step(function, name="", **more):
    return Step(name or function.__name__, f"{__name__}:{function.__name__}", **more)


@pytest.fixture
def helped(monkeypatch):
    # A worker imports this module by its name.
    folder = os.path.dirname(__file__)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")]))


def ran(steps, tmp_path, minutes=1.0):
    begin, record = time.monotonic(), Record(tmp_path / "out" / "lines.jsonl")
    ok = stages.run(steps, record, minutes)
    lines = [json.loads(line) for line in record.path.read_text().splitlines()]
    return (
        ok,
        {name: [line for line in lines if line["step"] == name] for name in dict.fromkeys(x.name for x in steps)},
        (time.monotonic() - begin),
    )


def test_what_a_step_tells_is_kept_and_the_next_one_has_its_process(tmp_path, helped):
    ok, lines, _ = ran([step(tells, "a", options={"count": 2}), step(tells, "b", options={"count": 1})], tmp_path)
    assert ok
    assert [line.get("number") for line in lines["a"]] == [0, 1, None]
    assert [line.get("status") for line in lines["a"]] == [None, None, "done"]
    assert lines["a"][0]["process"] == lines["b"][0]["process"] != os.getpid()


def test_steps_that_raise_crash_or_hang_leave_the_others_theirs(tmp_path, helped):
    # What hangs has the process of the one before it: its limit is not for a start on a busy machine.
    bad = [step(raises), step(hangs, seconds=3.0), step(crashes)]
    ok, lines, seconds = ran([*bad, step(tells, options={"count": 1})], tmp_path, minutes=5.0)
    assert ok
    assert seconds < 300
    assert [lines[b.name][0]["number"] for b in bad] == [1, 1, 1]
    assert [lines[b.name][-1]["status"] for b in bad] == ["failed", "timed out", "died"]
    assert lines["raises"][-1]["why"] == "ValueError: so it is"
    assert "last words" in lines["crashes"][-1]["why"]
    assert "last words" in lines["hangs"][-1]["why"]
    assert lines["tells"][-1]["status"] == "done"


def test_nothing_runs_longer_than_the_whole_may(tmp_path, helped):
    ok, lines, seconds = ran([step(hangs), step(tells, options={"count": 1})], tmp_path, minutes=0.1)
    assert ok
    assert seconds < 60
    assert [of[-1]["status"] for of in lines.values()] == ["timed out", "left out"]


def test_after_a_vital_step_that_fails_nothing_is_begun(tmp_path, helped):
    ok, lines, _ = ran([step(raises, vital=True), step(tells, options={"count": 1})], tmp_path)
    assert not ok
    assert lines["tells"] == [lines["tells"][-1]]
    assert lines["tells"][-1]["status"] == "left out"
