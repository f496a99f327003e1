"""Where a branch begins: the state that other runs had after an epoch, for as many runs as go on from it.

States are not kept: those runs are trained again up to that epoch, once, in the program and the slots of the branch,
and copied into the slots of all that go on from them. So a branch that changes nothing is the run itself, bit for bit.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.engine.sweep import Sweep
from jaxopt_study.engine.watcher import Watcher
from jaxopt_study.errors import InputError
from jaxopt_study.grids.run import Run, of_study, signature
from jaxopt_study.history import History
from jaxopt_study.identity import traced_as
from jaxopt_study.optimizers import registry
from jaxopt_study.optimizers.family import PRECISION
from jaxopt_study.settings import MOST_WHOLE, PRECISIONS, check_whole
from jaxopt_study.storage.parked import Parked
from jaxopt_study.training.early_stopping import RUNNING, Limits


class Branch(NamedTuple):
    """What the runs of a study go on from.

    Attributes:
        parents: runs of one configuration, one a seed.
        fingerprint: of that configuration, as its run of seed 0 has it.
        max_epochs: their budget.
        epoch: after which the others go on.
        reset: whether what their rules remember begins anew in any case.
    """

    parents: tuple[Run, ...]
    fingerprint: str
    max_epochs: int
    epoch: int
    reset: bool = False

    def identity(self) -> dict[str, Any]:
        """What the results depend on, for fingerprints."""
        return {"parent": self.fingerprint, "epoch": self.epoch, "reset": self.reset}

    def describe(self) -> dict[str, Any]:
        """The same for readers."""
        parent = self.parents[0]
        return {"optimizer": parent.optimizer, **dict(parent.hyperparameters), **self.identity()}

    def parent_of(self, run: Run) -> Run:
        """The run that another goes on from: that of its seeds."""
        return next(each for each in self.parents if (each.seed, each.data_seed) == (run.seed, run.data_seed))

    def keeps(self, run: Run) -> bool:
        """Whether a run goes on with what the rule of its parent remembers: it has that rule, with numbers of those
        names."""
        return not self.reset and signature(run) == signature(self.parents[0])

    def begun(self, run: Run) -> int:
        """Epochs that a run's rule has seen when it begins here: those of its parent, or none."""
        return self.epoch if self.keeps(run) else 0

    def starts(self, sweep: Sweep, slots: int, watcher: Watcher) -> Callable[[Run], Parked]:
        """What each run begins with; the first that is asked for trains its parents, in so many slots."""

        @functools.cache
        def parents() -> dict[Run, Parked]:
            watcher.tell(f"training again up to epoch {self.epoch}, where the branch begins")
            chunks = [self.parents[first : first + slots] for first in range(0, len(self.parents), slots)]
            return {run: state for runs in chunks for run, state in _trained(sweep, runs, self, slots, watcher).items()}

        def start(run: Run) -> Parked:
            parked = parents()[self.parent_of(run)]
            if self.keeps(run):
                return parked
            rule = sweep.program.rules.each[sweep.places[signature(run)]]
            numbers = {name: value[0] for name, value in sweep.stacked([run]).numbers.items()}
            with traced_as(sweep.program.code):
                opt_state = jax.device_get(rule.build(numbers).init(parked.state.variables.params))
            return parked._replace(state=parked.state._replace(opt_state=opt_state))

        return start


def _trained(sweep: Sweep, runs: Sequence[Run], branch: Branch, slots: int, watcher: Watcher) -> dict[Run, Parked]:
    """Parents after their epochs, whatever would end them; their histories say that they do not diverge."""
    in_slots = [*runs, *[runs[0]] * (slots - len(runs))]
    bounds: Any = np.full(slots, MOST_WHOLE, np.int32)
    numbers = sweep.stacked(in_slots, lambda run: branch.max_epochs)
    hyperparameters, limits = sweep.put((numbers, Limits(bounds, bounds)))
    seeds: Any = np.array([run.seed for run in in_slots], np.uint32)
    states = sweep.fill(sweep.idle(slots), hyperparameters, *sweep.put((seeds, np.arange(slots) < len(runs))))
    epoch, rows = sweep.compiled("epoch", slots), []
    for _ in range(branch.epoch):
        if stop := watcher.stop():
            raise stop
        states, report = epoch(states, hyperparameters, limits, sweep.batches)
        rows.append(np.asarray(report.metrics))
    states = jax.device_get(states)._replace(status=np.full(slots, RUNNING, np.int32))
    host = [jax.tree.map(lambda x, slot=slot: np.array(x[slot]), states) for slot in range(len(runs))]
    own = [sweep.own_state(run, state) for run, state in zip(runs, host, strict=True)]
    return {run: Parked(np.stack(rows)[:, slot], own[slot]) for slot, run in enumerate(runs)}


def check(parents: Sequence[Run], trained: Mapping[Run, History], epoch: int) -> None:
    """Refuses parents that are not trained, or not of one configuration, or have no such epoch, with an InputError."""
    for run in parents:
        if run not in trained:
            raise InputError("run", run, "allowed is a finished run of the study, or several of one configuration")
    if not parents or len({(run.optimizer, run.hyperparameters) for run in parents}) > 1:
        raise InputError("run", list(parents), "allowed are runs of one configuration")
    shortest = min(parents, key=lambda run: trained[run].epochs)
    most = trained[shortest].epochs - (trained[shortest].status == "diverged")
    check_whole("epoch", epoch, 1)
    if epoch > most:
        raise InputError("epoch", epoch, f"allowed is a whole number from 1 to the {most} of {trained[shortest]}")


def runs_from(parents: Sequence[Run], points: Sequence[Run], epoch: int, max_epochs: int) -> list[Run]:
    """The configurations of some runs with the seeds of the parents, and their batches.

    Raises:
        InputError: one has a batch size or a precision of its own, or a budget that the parents have used up.
    """
    own = [each for each in parents[0].hyperparameters if each[0] in ("batch_size", PRECISION)]
    runs = []
    for run in points:
        for name in ("batch_size", PRECISION):  # in which its run is trained again, too
            if (value := of_study(run, name)) is not None:
                given = PRECISIONS[value] if name == PRECISION else value
                raise InputError(name, given, "a branch goes on with that of its run")
        if (budget := of_study(run, "max_epochs") or max_epochs) <= epoch:
            allowed = f"allowed is more than the {epoch} epochs after which the branch begins"
            raise InputError("max_epochs", budget, allowed)
        # Weights times 0 are not decayed: the same run, and the same state of its rule, as without.
        _, numbers = registry.canonical(run.optimizer, dict(run.hyperparameters))
        kept = [(name, value) for name, value in run.hyperparameters if name in numbers or name != "weight_decay"]
        runs += [parent._replace(optimizer=run.optimizer, hyperparameters=(*kept, *own)) for parent in parents]
    return runs
