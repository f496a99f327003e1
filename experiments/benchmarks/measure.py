"""Measures programs against each other: each in a process of its own, in turns, so that a slow minute slows all."""

import contextlib
import importlib.util
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple, TypeVar

import numpy as np

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Peer, Ready

T = TypeVar("T")
PROGRAMS = "experiments.benchmarks."
"""Where the modules of programs are."""


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


_built: dict[tuple[str, Case], Ready] = {}  # in a program's own process


def own_process(peer: Peer) -> ProcessPoolExecutor:
    """A process that builds and runs programs of one kind: the frameworks' threads, devices and settings stay apart."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare_process, (dict(peer.environment),))


def _prepare_process(environment: dict[str, str]) -> None:
    # A GPU's memory is for all processes; by default JAX would take most of it for the first.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (sys.stdout, sys.stderr):
        os.dup2(nowhere, output.fileno())


def ask(process: ProcessPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
    """What a function gives in a program's process. Raises Failed: it raised there, or the process ended."""
    try:
        return process.submit(_answer, function, *arguments).result()
    except BrokenProcessPool:
        raise Failed("its process has ended") from None


def _answer(function: Callable[..., T], *arguments: Any) -> T:
    try:
        return function(*arguments)
    except Exception as error:  # whatever a framework raises; it may not be possible to send it
        raise Failed(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from None


def _configure(module: str) -> None:
    getattr(importlib.import_module(module), "configure", lambda: None)()


def _build(module: str, key: tuple[str, Case], options: Mapping[str, Any], longest: float) -> dict[str, float]:
    begin = time.perf_counter()
    ready = importlib.import_module(module).build(key[1], **options)
    ready.run(1)
    built_seconds = time.perf_counter() - begin - ready.choosing_seconds
    _built[key] = ready
    seconds = _run(key, 1)
    if seconds > longest:
        del _built[key]
        raise Failed(f"a pass takes {seconds:.0f} s")
    numbers = {name: value for name, value in ready._asdict().items() if name != "run"}
    return {**numbers, "seconds": seconds, "start_seconds": max(0.0, built_seconds - seconds)}


def _run(key: tuple[str, Case], passes: int) -> float:
    begin = time.perf_counter()
    _built[key].run(passes)
    return time.perf_counter() - begin


class Program:
    """One program on one case: built, then run whenever it is its turn.

    Raises:
        Failed: it cannot be built, or a pass takes too long.
    """

    def __init__(self, process: ProcessPoolExecutor, peer: Peer, case: Case, plan: Plan) -> None:
        self.process, self.key = process, (peer.name, case)
        built = ask(process, _build, PROGRAMS + peer.module, self.key, dict(peer.options), plan.longest)
        self.row = Row(case, peer.name, peer.title, [], built["start_seconds"], int(built["memory_bytes"]))
        self.weights, seconds = int(built["weights"]), built["seconds"]
        self.work = built["operations"] or case.configs * case.batch_size * case.steps
        self.rate = self.work / seconds
        self.passes = max(1, math.ceil(plan.seconds / seconds))

    def fits(self, case: Case, plan: Plan) -> bool:
        """Whether another case would be quick enough at this one's rate, with a margin for what grows with it."""
        return case.configs * case.batch_size * case.steps / self.rate <= 2 * plan.longest

    def turn(self) -> None:
        """Measures once."""
        self.row.rates.append(self.passes * self.work / ask(self.process, _run, self.key, self.passes))


def missing(peer: Peer) -> list[str]:
    """The packages that a program needs and that are not installed, as pip names them."""
    return [package for module, package in peer.needs.items() if importlib.util.find_spec(module) is None]


def measure(peers: Sequence[Peer], works: Sequence[Case], plan: Plan, tell: Callable[[str], None] = print) -> list[Row]:
    """All programs, each in a process of its own, on all cases, in turns; ``tell`` is given lines on the progress.

    Cases come with the fewest configurations first; their ``steps`` are chosen for each program where they are 0.

    Raises:
        RuntimeError: two programs have different numbers of weights, so that they do not do the same work.
    """
    programs: list[Program] = []
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        for peer in peers:
            process = stack.enter_context(own_process(peer))
            built, failed = build(process, peer, works, plan, tell)
            programs += built
            rows += failed
        weights = {program.row.name: program.weights for program in programs if program.weights}
        if len(set(weights.values())) > 1:
            raise RuntimeError(f"the programs do not train the same network: {weights}")
        for i in range(plan.repeats):
            tell(f"turn {i + 1} of {plan.repeats}")
            for program in programs:
                program.turn()
    return [program.row for program in programs] + rows


def build(
    process: ProcessPoolExecutor, peer: Peer, works: Sequence[Case], plan: Plan, tell: Callable[[str], None]
) -> tuple[list[Program], list[Row]]:
    """Builds a peer's programs; also rows for those that cannot be measured."""
    programs: list[Program] = []
    failed: list[Row] = []
    try:
        ask(process, _configure, PROGRAMS + peer.module)
    except Failed as error:
        tell(f"{peer.title}: left out, {error}")
        return [], [Row(case_of(peer, works[0]), peer.name, peer.title, [], error=str(error))]
    for case in dict.fromkeys(case_of(peer, work) for work in works):
        begin = time.perf_counter()
        try:
            if programs and not programs[-1].fits(case, plan):
                raise Failed(f"a pass would take more than {plan.longest:.0f} s")
            programs.append(Program(process, peer, case, plan))
            tell(f"{peer.title}, {case.configs}: built in {time.perf_counter() - begin:.0f} s")
        except Failed as error:
            tell(f"{peer.title}, {case.configs}: left out, {error}")
            failed.append(Row(case, peer.name, peer.title, [], error=str(error)))
    return programs, failed


def case_of(peer: Peer, work: Case) -> Case:
    """The case as this program takes it."""
    return work._replace(
        steps=work.steps or cases.steps_for(peer, work.image_size, work.configs),
        configs=work.configs if peer.together else 1,
        devices=work.devices if peer.module == "ours" else 0,
    )
