"""Measures programs against each other: each in a process of its own, in turns, so that a slow minute slows all."""

import importlib.util
import json
import math
import os
import subprocess
import sys
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
        memory_bytes: that one device holds, data included; 0 if unknown.
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
    """A process that builds and runs one kind of program."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
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
        self.ask(do="start", module=peer.module)

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


class Turns:
    """One program on one case: built, then run whenever it is its turn."""

    def __init__(self, peer: Peer, case: Case, plan: Plan) -> None:
        self.peer, self.case, self.plan = peer, case, plan
        self.rates: list[float] = []
        self.worker = Worker(peer)
        built = self.worker.ask(do="build", case=case._asdict(), options=dict(peer.options))
        seconds = self.pass_seconds(1)
        self.start_seconds = max(0.0, built["seconds"] - seconds)
        self.memory_bytes, self.weights = int(built["memory_bytes"]), int(built["weights"])
        self.work = built["operations"] or case.configs * case.batch_size * case.steps
        if seconds > plan.longest:
            raise Failed(f"a pass takes {seconds:.0f} s")
        self.passes = max(1, math.ceil(plan.seconds / seconds))

    def pass_seconds(self, passes: int) -> float:
        """Seconds of so many passes."""
        return float(self.worker.ask(do="run", passes=passes)["seconds"])

    def turn(self) -> None:
        """Measures once."""
        self.rates.append(self.passes * self.work / self.pass_seconds(self.passes))

    def row(self) -> Row:
        """What was measured."""
        return Row(self.case, self.peer.name, self.peer.title, self.rates, self.start_seconds, self.memory_bytes)


def missing(peer: Peer) -> list[str]:
    """The packages that a program needs and that are not installed, as pip names them."""
    return [package for module, package in peer.needs.items() if importlib.util.find_spec(module) is None]


def measure(peers: Sequence[Peer], work: Case, plan: Plan, tell: Callable[[str], None] = print) -> list[Row]:
    """One group of programs, in turns.

    Args:
        peers: the programs.
        work: the case; its ``steps`` are chosen for each program if they are 0.
        plan: how long.
        tell: is given lines on the progress.

    Raises:
        RuntimeError: two programs have different numbers of weights, so that they do not do the same work.
    """
    programs: list[Turns] = []
    rows: list[Row] = []
    for peer in peers:
        case = case_of(peer, work)
        try:
            tell(f"{peer.title}: building {case.image_size} px, {case.configs} configuration(s)")
            programs.append(Turns(peer, case, plan))
        except Failed as error:
            tell(f"{peer.title}: left out, {error}")
            rows.append(Row(case, peer.name, peer.title, [], error=str(error)))
    weights = {each.peer.name: each.weights for each in programs if each.weights}
    if len(set(weights.values())) > 1:
        raise RuntimeError(f"the programs do not train the same network: {weights}")
    for _ in range(plan.repeats):
        for each in programs:
            each.turn()
    for each in programs:
        each.worker.close()
    return [each.row() for each in programs] + rows


def case_of(peer: Peer, work: Case) -> Case:
    """The case as this program takes it."""
    steps = work.steps or cases.steps_for(peer, work.image_size, work.configs)
    return work._replace(steps=steps, configs=work.configs if peer.together else 1)
