"""Measures programs against each other: each in a process of its own, in turns, so that a slow minute slows all."""

import contextlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Peer


class Failed(Exception):  # a program's, not the measurement's: it is told and the others go on
    """A program could not be built or run; the message says why."""


class Plan(NamedTuple):
    """How long to measure.

    Attributes:
        repeats: turns of every program.
        seconds: that a turn takes at least, by passing over the data as often as that needs.
        longest: seconds; a program whose turn would take longer is left out.
    """

    repeats: int
    seconds: float
    longest: float


class Row(NamedTuple):
    """A program's speed on a case.

    Attributes:
        case: what was measured; one configuration for a program that trains one after another.
        name: of the program.
        title: the same in words.
        rates: examples x configurations a second, a number a turn (GEMM: operations a second).
        start_seconds: from the first call to the end of the first pass, less a later pass: tracing and compilation.
        memory_bytes: of a configuration, data apart; 0 if unknown.
        error: why there are no rates, if there are none.
    """

    case: Case
    name: str
    title: str
    rates: list[float]
    start_seconds: float = 0.0
    memory_bytes: int = 0
    error: str = ""

    @property
    def median(self) -> float:
        """Of the rates; NaN without any."""
        return float(np.median(self.rates)) if self.rates else math.nan


class Worker:
    """A process that builds and runs programs of one kind."""

    def __init__(self, peer: Peer) -> None:
        # A GPU's memory is for all processes; by default JAX would take most of it for the first.
        environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ, **peer.environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "experiments.benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """A request and its reply.

        Raises:
            Failed: the program raised, or its process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("its process has ended") from None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "its process has ended"}')
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Program:
    """One program on one case: built, then run whenever it is its turn.

    Raises:
        Failed: it cannot be built, or a pass takes too long.
    """

    def __init__(self, worker: Worker, peer: Peer, case: Case, plan: Plan) -> None:
        self.worker, self.peer, self.case = worker, peer, case
        self.key = json.dumps([peer.name, case])
        self.rates: list[float] = []
        built = worker.ask(do="build", key=self.key, case=case._asdict(), options=dict(peer.options))
        seconds = self.seconds_of(1)
        self.start_seconds = max(0.0, built["seconds"] - seconds)
        self.memory_bytes, self.weights = int(built["memory_bytes"]), int(built["weights"])
        self.work = built["operations"] or case.configs * case.batch_size * case.steps
        self.rate = self.work / seconds
        if seconds > plan.longest:
            worker.ask(do="drop", key=self.key)
            raise Failed(f"a pass takes {seconds:.0f} s")
        self.passes = max(1, math.ceil(plan.seconds / seconds))

    def seconds_of(self, passes: int) -> float:
        """Seconds of so many passes."""
        return float(self.worker.ask(do="run", key=self.key, passes=passes)["seconds"])

    def fits(self, case: Case, plan: Plan) -> bool:
        """Whether another case would be quick enough at this one's rate, with a margin for what grows with it."""
        return case.configs * case.batch_size * case.steps / self.rate <= 2 * plan.longest

    def turn(self) -> None:
        """Measures once."""
        self.rates.append(self.passes * self.work / self.seconds_of(self.passes))

    def row(self) -> Row:
        """What was measured."""
        return Row(self.case, self.peer.name, self.peer.title, self.rates, self.start_seconds, self.memory_bytes)


def missing(peer: Peer) -> list[str]:
    """The packages that a program needs and that are not installed, as pip names them."""
    return [package for module, package in peer.needs.items() if importlib.util.find_spec(module) is None]


def measure(peers: Sequence[Peer], works: Sequence[Case], plan: Plan, tell: Callable[[str], None] = print) -> list[Row]:
    """All programs on all cases, in turns.

    Args:
        peers: the programs, each in a process of its own.
        works: the cases, fewest configurations first; their ``steps`` are chosen for each program where they are 0.
        plan: how long.
        tell: is given lines on the progress.

    Raises:
        RuntimeError: two programs have different numbers of weights, so that they do not do the same work.
    """
    programs: list[Program] = []
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        for peer in peers:
            worker = Worker(peer)
            stack.callback(worker.close)
            built, failed = build(worker, peer, works, plan, tell)
            programs += built
            rows += failed
        weights = {each.peer.name: each.weights for each in programs if each.weights}
        if len(set(weights.values())) > 1:
            raise RuntimeError(f"the programs do not train the same network: {weights}")
        for i in range(plan.repeats):
            tell(f"turn {i + 1} of {plan.repeats}")
            for program in programs:
                program.turn()
    return [program.row() for program in programs] + rows


def build(
    worker: Worker, peer: Peer, works: Sequence[Case], plan: Plan, tell: Callable[[str], None]
) -> tuple[list[Program], list[Row]]:
    """Builds a peer's programs; also rows for those that cannot be measured."""
    programs: list[Program] = []
    failed: list[Row] = []
    try:
        worker.ask(do="start", module=peer.module)
    except Failed as error:
        tell(f"{peer.title}: left out, {error}")
        return [], [Row(case_of(peer, works[0]), peer.name, peer.title, [], error=str(error))]
    for case in dict.fromkeys(case_of(peer, work) for work in works):
        begin = time.perf_counter()
        try:
            if programs and not programs[-1].fits(case, plan):
                raise Failed(f"a pass would take more than {plan.longest:.0f} s")
            programs.append(Program(worker, peer, case, plan))
            tell(f"{peer.title}, {case.configs}: built in {time.perf_counter() - begin:.0f} s")
        except Failed as error:
            tell(f"{peer.title}, {case.configs}: left out, {error}")
            failed.append(Row(case, peer.name, peer.title, [], error=str(error)))
    return programs, failed


def case_of(peer: Peer, work: Case) -> Case:
    """The case as this program takes it."""
    steps = work.steps or cases.steps_for(peer, work.image_size, work.configs)
    return work._replace(
        steps=steps,
        configs=work.configs if peer.together else 1,
        devices=work.devices if peer.module == "ours" else 0,
    )
