"""Runs under way as a checkpoint holds them: what its table says of those of one rule, and their arrays."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.grids.run import Run, Signature, signature
from jaxopt_study.optimizers import registry
from jaxopt_study.training.step import RunState

PyTree = Any


class Parked(NamedTuple):
    """A run that was begun and waits for a slot: its rows, float32 ``[E, curves]``, and its state on the host."""

    rows: np.ndarray
    state: RunState


class Part(NamedTuple):
    """Runs of one signature.

    Attributes:
        rule: identity of their rule.
        study: what the results of their study depend on beside the run.
        said: names of these that each run says of itself.
        parked: by fingerprint each run and, its state a list of arrays, where it stands.
    """

    rule: str
    study: Mapping[str, Any]
    said: Collection[str]
    parked: Mapping[str, tuple[Run, Parked]]

    def only(self, fingerprints: Collection[str]) -> "Part":
        """With these runs alone."""
        return self._replace(parked={known: at for known, at in self.parked.items() if known in fingerprints})

    def written(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """What a table says of them, and their arrays: those of all runs stacked."""
        runs, parked = zip(*self.parked.values(), strict=True)
        rows, states = zip(*parked, strict=True)
        arrays = [np.concatenate(rows), *(np.stack(leaves) for leaves in zip(*states, strict=True))]
        described = {
            "optimizer": runs[0].optimizer,
            "rule": self.rule,
            "study": self.study,
            "said": list(self.said),
            "runs": [[list(map(list, run.hyperparameters)), run.seed, run.data_seed] for run in runs],
            "fingerprints": list(self.parked),
            "epochs": list(map(len, rows)),
            "leaves": [[list(x.shape), str(x.dtype)] for x in arrays],
        }
        return described, [np.ascontiguousarray(x) for x in arrays]


def parts_of(
    begun: Mapping[Run, Parked], study: Mapping[str, Any], said: Collection[str], fingerprint: Callable[[Run], str]
) -> list[Part]:
    """Runs of a study by their signatures."""
    by_rule: dict[Signature, dict[str, tuple[Run, Any]]] = {}
    for run, parked in begun.items():
        leaves: Any = jax.tree.leaves(parked.state)
        listed = parked._replace(state=leaves)
        by_rule.setdefault(signature(run), {})[fingerprint(run)] = (run, listed)
    identities = {known: registry.family(known.optimizer).identity for known in by_rule}
    return [Part(identities[known], study, said, parked) for known, parked in by_rule.items()]


def named(described: Mapping[str, Any], fingerprint: Callable[[Run], str]) -> dict[str, Run] | None:
    """The runs of a part by their fingerprints; None where their rule is another now, so that nobody can go on."""
    family = registry.OPTIMIZERS.get(described["optimizer"])
    if family and family.identity != described.get("rule", ""):
        return None
    runs = [
        Run(described["optimizer"], tuple((name, value) for name, value in hyperparameters), *seeds)
        for hyperparameters, *seeds in described["runs"]
    ]
    if "fingerprints" in described:
        return dict(zip(described["fingerprints"], runs, strict=True))
    return {fingerprint(run): run for run in runs} if family else None  # of an earlier version


def described_in(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts that a table describes; before rules shared a program a checkpoint was of one."""
    parts: list[Mapping[str, Any]] = table.get("parts", [table])
    return parts


def digest(table: Mapping[str, Any]) -> str:
    """By which it is known that a table is what was written."""
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def furthest(parts: Sequence[Part]) -> list[Part]:
    """Parts in which each run is once: where it has the most epochs."""
    epochs = [{known: len(parked.rows) for known, (_, parked) in part.parked.items()} for part in parts]
    best = {known: max(range(len(parts)), key=lambda at: epochs[at].get(known, -1)) for of in epochs for known in of}
    chosen = [part.only([known for known in part.parked if best[known] == at]) for at, part in enumerate(parts)]
    return [part for part in chosen if part.parked]


def stands(parked: Parked, template: RunState, folder: object) -> Parked:
    """Where a run stands, its state no list of arrays any more but like ``template``.

    Best weights that nobody asks for are left out. EnvironmentFault: they are asked for, and it has none.
    """
    listed: Any = parked.state
    structure: Any = jax.tree.structure(template)
    if structure.num_leaves == len(listed):
        return parked._replace(state=jax.tree.unflatten(structure, listed))
    without, whole = (_with_best(template, best) for best in ((), template.variables))
    if not template.best and whole.num_leaves == len(listed):
        state: RunState = jax.tree.unflatten(whole, listed)
        return parked._replace(state=state._replace(best=()))
    if template.best and without.num_leaves == len(listed):
        raise EnvironmentFault(
            f"--save_best_weights: {folder} holds runs that were begun without it, whose best weights are not known; "
            "finish them without it, or choose another --workdir"
        )
    raise EnvironmentFault(
        f"{folder} holds runs of another version of this package; remove that folder to train the unfinished runs "
        "again, the finished ones are kept"
    )


def _with_best(template: RunState, best: PyTree) -> Any:
    return jax.tree.structure(template._replace(best=best))


def unpacked(packed: np.ndarray, described: Sequence[Mapping[str, Any]]) -> Iterator[list[Parked]]:
    """Where the runs of each described part stand, of the arrays that lie one after another in ``packed``."""
    leaves = [leaf for part in described for leaf in part["leaves"]]
    ends = np.cumsum([int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in leaves])
    split = zip(np.split(packed, ends[:-1]), leaves, strict=True)
    arrays = (np.frombuffer(part.tobytes(), dtype).reshape(shape) for part, (shape, dtype) in split)
    for part in described:
        rows, *of_states = (next(arrays) for _ in part["leaves"])
        rows_of_runs: Any = np.split(rows, np.cumsum(part["epochs"])[:-1])
        states: Any = map(list, zip(*of_states, strict=True))
        yield [Parked(*each) for each in zip(rows_of_runs, states, strict=True)]
