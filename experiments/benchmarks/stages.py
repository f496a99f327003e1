"""Steps of a measurement for which time is short: each has its limit, and what one finds is on disk at once.

Steps run in processes beside this one, which does nothing but wait: whatever a step does - raise, crash, hang - the
others go on, in a new process. Those of one worker share it while it lives, for what is slow to make: an import, a
device, compiled programs. The file holds a JSON object a line, each with the step and the seconds since the beginning;
the last of a step has its ``status``.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

Tell = Callable[..., None]
"""Writes its keyword arguments, JSON values, as a line."""
Function = Callable[..., None]
"""``(tell, **options)``: what a step does; it raises if it fails."""
_SHORTEST = 2.0
"""Seconds without which no step is begun."""
_TAIL = 2000
_context = multiprocessing.get_context("spawn")


class Step(NamedTuple):
    """A step.

    Attributes:
        name: in the file.
        function: ``module:name`` of a `Function`.
        options: of the function.
        seconds: its limit, from its beginning, a new process's imports included.
        worker: those of one name share a process.
        vital: whether those after it are left out if it does not succeed.
        environment: of its worker's process.
    """

    name: str
    function: str
    options: Mapping[str, Any] = {}
    seconds: float = 60.0
    worker: str = ""
    vital: bool = False
    environment: Mapping[str, str] = {}


class Record:
    """The file of lines, which are printed too."""

    def __init__(self, path: Path) -> None:
        self.path, self.begin = path, time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)

    def tell(self, step: str, **numbers: Any) -> None:
        """Adds a line and sees it to the disk."""
        line = json.dumps({"step": step, "at": round(time.monotonic() - self.begin, 1), **numbers}, default=str)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(line if len(line) < _TAIL else line[:_TAIL] + " ..", flush=True)


class Worker:
    """A process that takes one step after another; its output goes to a file."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.log, self.offset = log, log.stat().st_size if log.exists() else 0
        self.pipe, theirs = _context.Pipe()
        self.process: BaseProcess = _context.Process(target=_serve, args=(theirs, str(log), dict(environment)))
        self.process.start()
        theirs.close()

    def take(self, step: Step, seconds: float, tell: Tell) -> tuple[str, str]:
        """Has a step done, within so many seconds; its status, and why if it is not ``done``."""
        end = time.monotonic() + seconds
        try:
            self.pipe.send((step.function, dict(step.options)))
            while self.pipe.poll(max(0.0, end - time.monotonic())):
                kind, content = self.pipe.recv()
                if kind != "line":
                    return kind, content
                tell(**content)
        except (EOFError, OSError):
            self.process.join(10)
            return "died", f"exit code {self.process.exitcode}: {self.output()}"
        return "timed out", f"after {seconds:.0f} s: {self.output()}"

    def output(self) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError):
            return self.log.read_bytes()[self.offset :][-_TAIL:].decode(errors="replace")
        return ""

    def stop(self) -> None:
        """Kills the process and those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join(10)
        self.pipe.close()


def run(steps: Sequence[Step], record: Record, minutes: float) -> bool:
    """Takes the steps in their order until the minutes are up; whether none of the vital ones failed."""
    end, workers = record.begin + 60 * minutes, dict[str, Worker]()
    with _stopped(workers):
        for i, step in enumerate(steps):
            left = end - time.monotonic()
            if left < _SHORTEST:
                record.tell(step.name, status="left out", why=f"the {minutes:g} minutes are up")
                continue
            if step.worker not in workers:
                _stop_others(workers)
                log = record.path.with_name(f"{step.worker or 'steps'}.log")
                workers[step.worker] = Worker(log, step.environment)
            worker, began = workers[step.worker], time.monotonic()
            status, why = worker.take(step, min(step.seconds, left), lambda name=step.name, **x: record.tell(name, **x))
            if status not in ("done", "failed"):
                workers.pop(step.worker).stop()
            seconds = round(time.monotonic() - began, 2)
            record.tell(step.name, status=status, seconds=seconds, **({"why": why} if why else {}))
            if step.vital and status != "done":
                for other in steps[i + 1 :]:
                    record.tell(other.name, status="left out", why=f"{step.name} did not succeed")
                return False
    return True


def _stop_others(workers: dict[str, Worker]) -> None:
    """A device's memory is for one process at a time."""
    for name in list(workers):
        workers.pop(name).stop()


@contextlib.contextmanager
def _stopped(workers: dict[str, Worker]) -> Iterator[None]:
    try:
        yield
    finally:
        _stop_others(workers)


def _serve(pipe: Connection, log: str, environment: dict[str, str]) -> None:
    """The worker's side."""
    os.setpgid(0, 0)  # so that what it starts is killed with it
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())

    def tell(**numbers: Any) -> None:
        pipe.send(("line", numbers))

    with contextlib.suppress(EOFError):
        while True:
            name, options = pipe.recv()
            try:
                module, _, function = name.partition(":")
                getattr(importlib.import_module(module), function)(tell, **options)
                pipe.send(("done", ""))
            except Exception as error:  # whatever a framework raises
                pipe.send(("failed", f"{type(error).__name__}: {str(error)[:_TAIL]}"))
