"""What a training step of each rule costs over one of SGD: measured, each rule alone, so that others do not matter."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_study.data.trees import length
from jaxopt_study.engine import devices, own_code
from jaxopt_study.engine.groups import rule_of
from jaxopt_study.engine.trainer import Trainer
from jaxopt_study.grids.run import Group, Run, make_run, signature
from jaxopt_study.storage import workdir
from jaxopt_study.training.rules import Hyperparameters, Rules
from jaxopt_study.training.step import Batch, RunState, init_run, train_step

STEPS = 20
"""That are timed at once: what a rule does in every tenth step is in it."""
LEAST = 0.1
"""Seconds that are timed at once, by as many calls: one of a small network takes less than what starting it varies."""
TURNS = 7
"""Of all rules, one after the other. The median of each counts: a core that waits for work mostly spins, and a turn in
which it slept tells half as much."""


class Cost(NamedTuple):
    """Of a training step of one run of a rule, diagnostics included, the data of the step ready.

    Attributes:
        step_seconds: of a processor, all of its cores added up; on an accelerator of the clock.
        step_bytes: read and written, as XLA counts them; NaN where it does not tell. It cannot look into kernels.
        state_bytes: of weights, running statistics and what the rule remembers.
        seconds_over_sgd: the first over SGD's.
        bytes_over_sgd: the last over SGD's.
    """

    step_seconds: float
    step_bytes: float
    state_bytes: int
    seconds_over_sgd: float
    bytes_over_sgd: float


def costs(study: Trainer) -> dict[str, Cost]:
    """Of every rule of a study, by its name; of several batch sizes the first counts.

    Each rule has a program of its own, compiled for this: about as long as the training's own compilation, a rule.
    """
    group = study.groups[0]
    first: dict[str, Run] = {"sgd": make_run("sgd", {}, 0)}
    for run in study.runs:
        first.setdefault(run.optimizer, run)
    size = study.batch_size(group)
    steps = max(1, min(STEPS, study.dataset_of(group).examples // size))
    batches = study.batches(size, steps, data_seed=group.data_seed).train
    with own_code.unedited(study):
        programs = {name: _Alone(study, group, run, batches) for name, run in first.items()}
    with devices.cores_apart(devices.choose(study.execution.devices)):
        seconds = medians({name: timer(program.train) for name, program in programs.items()}, TURNS)
    sgd = programs["sgd"]
    return {
        name: Cost(
            seconds[name] / steps,
            program.bytes,
            program.state_bytes,
            seconds[name] / seconds["sgd"],
            program.state_bytes / sgd.state_bytes,
        )
        for name, program in programs.items()
    }


def medians(timers: Mapping[str, Callable[[], float]], turns: int) -> dict[str, float]:
    """The median seconds of each over some turns, in each of which all are timed once, one after the other."""
    seconds = [{name: timer() for name, timer in timers.items()} for _ in range(turns)]
    return {name: statistics.median(turn[name] for turn in seconds) for name in timers}


def timer(call: Callable[[], object]) -> Callable[[], float]:
    """What tells the seconds of a call: of all cores, on an accelerator of the clock. It is called before."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter

    def seconds(calls: int) -> float:
        begin = clock()
        for _ in range(calls):
            call()
        return (clock() - begin) / calls

    seconds(1)
    calls = 1
    while seconds(calls) * calls < LEAST:
        calls *= 2
    return lambda: seconds(calls)


def known_costs(study: Trainer) -> dict[str, Cost]:
    """Of every rule of a study, as its stats.json says; measured, and written there if it is there, otherwise."""
    path = study.folder / "stats.json"
    stats = workdir.usable(workdir.written_stats, path)
    known = dict(stats.get("costs", {}))
    if not known.keys() >= set(study.rules):
        for rule, cost in costs(study).items():
            known[rule] = {name: value for name, value in cost._asdict().items() if math.isfinite(value)}
        if stats:
            workdir.write_json(path, {**stats, "costs": known})
    return {rule: Cost(**{"step_bytes": math.nan, **known[rule]}) for rule in study.rules}


class _Alone:
    """The steps of one run of a rule, compiled."""

    def __init__(self, study: Trainer, group: Group, run: Run, batches: Sequence[jax.Array]) -> None:
        program = study.program(group, "map")
        program = program._replace(rules=Rules((rule_of(signature(run), program.steps),)))
        values = {"max_epochs": study.settings.max_epochs, **dict(run.hyperparameters)}
        numbers: Any = {name: np.float32(values[name]) for name in program.rules.names}
        own = Hyperparameters(jnp.int32(0), numbers)
        prepared = jax.jit(lambda images: jax.lax.map(lambda one: program.network.prepare(one, True), images))

        def steps(state: RunState, batches: tuple[Any, Any]) -> RunState:
            def step(state: RunState, batch: tuple[Any, Any, jax.Array]) -> tuple[RunState, None]:
                return train_step(state, own, Batch(*batch), program)[0], None

            return jax.lax.scan(step, state, (*batches, jnp.arange(length(batches[1]))))[0]

        self.state = jax.jit(lambda: init_run(jnp.uint32(0), own, program))()
        self.batches = (prepared(batches[0]), batches[1])
        self.compiled = jax.jit(steps, donate_argnums=0).lower(self.state, self.batches).compile()
        self.state_bytes = sum(x.nbytes for x in jax.tree.leaves((self.state.variables, self.state.opt_state)))
        analysis = self.compiled.cost_analysis() or {}
        self.bytes = float(analysis.get("bytes accessed", math.nan))

    def train(self) -> None:
        """Trains on all batches."""
        self.state = jax.block_until_ready(self.compiled(self.state, self.batches))
