"""The study as the page carries it: what describes the runs as JSON, what was measured as one block of numbers.

The block is float32, of which a curve keeps 16 bits of mantissa (numbers of five digits are right), the first bytes of
all numbers together, then the second and so on, which packs well, gzip and base64. Browsers unpack it by themselves.
"""

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import stdtrit

from jaxopt_study.analysis import guessing, minima
from jaxopt_study.analysis.best import best_places, held_out, ranked
from jaxopt_study.analysis.runs import as_trained, by_configuration, by_rule
from jaxopt_study.history import CURVES, OPTIONAL_CURVES, History
from jaxopt_study.plots import labels
from jaxopt_study.report import wording

MOST_NUMBERS = 1_500_000
"""Of all curves together; some 4 MB of the page."""
FEWEST_EPOCHS, MOST_EPOCHS = 24, 200
"""That a curve keeps: what a screen shows, and what a curve needs to be one."""
_LOST_BITS = 7
_SEEDS = 40
"""Up to which quantiles of Student's t are in the data."""


def study_data(
    histories: Sequence[History], chance: float, *, files: Sequence[str] = (), unit: str = "", again: str = "",
    directions: Mapping[str, bool] = MappingProxyType({}), costs: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:  # fmt: skip
    """What the page's script draws from.

    Args:
        histories: the runs.
        chance: the loss of guessing, infinite if not known.
        files: the name of each run's file; none if that is not known.
        unit: of the losses; nats if empty.
        again: the command that the study was trained with; empty if there was none.
        costs: seconds of a step over SGD's, by the rule, where they were measured.
        directions: whether more is better, of metrics of one's own, as ``facts.directions`` knows it.

    Returns:
        For JSON, of R runs, C configurations, M measures and E epochs:

        - ``measures``: name, title, unit, whether more is better (None where nothing says so), whether it is a share.
        - ``parameters``: name, title, short name, whether it only guards against division by zero, and the texts of
          its values, ascending.
        - ``runs``: columns of length R; ``of`` is the place of the configuration.
        - ``configurations``: rule, title, whether the rule is ``known`` by its name, places of its values (-1 without
          such a number), ``best`` in its rule, and ``usable``: whether it may be the best of some measure; see
          ``analysis.best``. The best has in ``told`` the mean loss that half of the seeds tell of the other's choice.
        - ``costs``: seconds of a step over SGD's, by the rule.
        - ``epochs``: those that the curves have.
        - ``numbers``: packed, ``[2, M, R]`` and ``[M, R, E]``: each measure at the run's best epoch (a loss at its own
          lowest, the others where the validation loss is lowest) and in its last one, then the curves; NaN where there
          is nothing.
    """
    runs = list(histories)
    own = dict.fromkeys(name for run in runs for name in run.metrics)
    names = [name for name in (*CURVES, *OPTIONAL_CURVES, *own) if any(_is_measured(run, name) for run in runs)]
    epochs = _epochs(max((run.epochs for run in runs), default=0), len(runs) * len(names))
    groups = by_configuration(runs)
    place = {id(run): at for at, group in enumerate(groups) for run in group}
    parameters = list(dict.fromkeys(name for run in runs for name in run.hyperparameters))
    values = {
        name: sorted({as_trained(run.hyperparameters[name]) for run in runs if name in run.hyperparameters})
        for name in parameters
    }
    files = list(files) or [""] * len(runs)
    return {
        "chance": chance if math.isfinite(chance) else None,
        "again": again,
        "costs": dict(costs),
        "measures": [
            {
                "name": name,
                "title": labels.measure(name),
                "unit": unit if unit and name.endswith("_loss") else labels.MEASURES.get(name, ("", ""))[1],
                "more": _more(name, directions),
                "share": name.endswith("accuracy"),
                "loss": name.endswith("_loss"),
            }
            for name in names
        ],
        "parameters": [
            {
                "name": name,
                "title": labels.hyperparameter(name),
                "short": labels.short(name),
                "guard": name in labels.GUARDS,
                "texts": wording.apart(values[name]),
            }
            for name in parameters
        ],
        "values": [values[name] for name in parameters],
        "configurations": _configurations(groups, parameters, values, chance),
        "runs": _columns(runs, files, place, chance),
        "epochs": epochs,
        "t": [round(float(stdtrit(seeds - 1, 0.975)), 4) if seeds > 1 else None for seeds in range(_SEEDS + 1)],
        "numbers": pack(_scores(runs, names), _curves(runs, names, epochs)),
    }  # fmt: skip


def to_json(data: Mapping[str, Any]) -> str:
    """As it stands in a script element: nothing in it ends that or begins another; no number is NaN."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def pack(*arrays: np.ndarray) -> str:
    """Float32 arrays, one after the other, for the page."""
    numbers = np.concatenate([np.asarray(array, "<f4").ravel() for array in arrays])
    planes = numbers.view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(gzip.compress(np.ascontiguousarray(planes).tobytes(), 6, mtime=0)).decode("ascii")


def unpack(text: str) -> np.ndarray:
    """The numbers of :func:`pack`, one after the other."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(4, -1)
    return np.ascontiguousarray(planes.T).view("<f4").ravel()


def _is_measured(run: History, name: str) -> bool:
    if name == "val_accuracy":
        return bool(np.isfinite(minima.accuracy(run)).any())
    return name in run.curves and bool(np.isfinite(run.curves[name]).any())


def _more(name: str, directions: Mapping[str, bool]) -> bool | None:
    if name.endswith("_loss"):
        return False
    return True if name.endswith("accuracy") else directions.get(name.removeprefix("test_"))


def _epochs(most: int, curves: int) -> list[int]:
    """Epochs of the curves, from the first to the last: all if there are few, else evenly spread."""
    room = min(max(MOST_NUMBERS // max(curves, 1), FEWEST_EPOCHS), MOST_EPOCHS)
    return sorted({round(at) for at in np.linspace(1, most, min(most, room))})


def _configurations(
    groups: Sequence[Sequence[History]], parameters: Sequence[str], values: Mapping[str, list[float]], chance: float
) -> list[dict[str, Any]]:
    sums = [minima.seed_minima(group, chance=chance) for group in groups]
    told, few = dict[int, float](), dict[str, int]()
    place = {id(group[0]): at for at, group in enumerate(groups)}
    for rule, of_rule in by_rule([run for group in groups for run in group]).items():
        places = [place[id(group[0])] for group in of_rule]
        for best in best_places([sums[at] for at in places])[:1]:
            told[places[best]] = minima.seed_lowest(held_out(of_rule)).value
        few[rule] = sorted(len(group) for group in of_rule)[(len(of_rule) - 1) // 2]
    order = ranked(sums)
    rank = {at: place for place, at in enumerate(order)}
    index = {name: {value: at for at, value in enumerate(values[name])} for name in parameters}
    return [
        {
            "rule": group[0].optimizer,
            "title": labels.optimizer(group[0].optimizer),
            "known": group[0].optimizer in labels.OPTIMIZERS,
            "values": [index[n].get(as_trained(group[0].hyperparameters.get(n, math.nan)), -1) for n in parameters],
            "best": at in told,
            **({"told": told[at]} if math.isfinite(told.get(at, math.nan)) else {}),
            "usable": one.is_whole and one.learnt and one.runs >= few[group[0].optimizer],
            "rank": rank[at],
        }
        for at, (group, one) in enumerate(zip(groups, sums, strict=True))
    ]  # fmt: skip


def _columns(
    runs: Sequence[History], files: Sequence[str], place: Mapping[int, int], chance: float
) -> dict[str, list[Any]]:
    lowest = [minima.minimum(run.curves["val_loss"]).epoch for run in runs]
    columns: dict[str, list[Any]] = {
        "of": [place[id(run)] for run in runs],
        "seed": [run.seed for run in runs],
        "status": [guessing.status(run, chance) for run in runs],
        "epochs": [run.epochs for run in runs],
        "best_epoch": lowest,
        "diverged": [run.diverged_epoch for run in runs],
        "file": list(files),
    }
    if any(run.data_seed is not None for run in runs):
        columns["data_seed"] = [run.data_seed for run in runs]
    if any(run.reason for run in runs):
        columns["reason"] = [run.reason for run in runs]
    return columns


def _scores(runs: Sequence[History], names: Sequence[str]) -> np.ndarray:
    """Each measure at the best epoch and in the last one, ``[2, M, R]``; NaN of runs that diverged or failed."""
    scores = np.full((2, len(names), len(runs)), np.nan, np.float32)
    for at, run in enumerate(runs):
        if run.status in ("diverged", "failed") or not run.epochs:
            continue
        best = minima.minimum(run.curves["val_loss"]).epoch
        for number, name in enumerate(names):
            if not _is_measured(run, name):
                continue
            curve = run.curves[name]
            epoch = minima.minimum(curve).epoch if name.endswith("_loss") else best
            if name == "sharpness":  # as it was measured last
                curve = curve[np.maximum.accumulate(np.isfinite(curve) * np.arange(len(curve)))]
            scores[0, number, at] = curve[epoch - 1] if epoch else np.nan
            scores[1, number, at] = curve[-1]
    return scores


def _curves(runs: Sequence[History], names: Sequence[str], epochs: Sequence[int]) -> np.ndarray:
    """The curves at some epochs, ``[M, R, E]``, rounded; NaN after a run's last epoch."""
    curves = np.full((len(names), len(runs), len(epochs)), np.nan, np.float32)
    wanted = np.asarray(epochs, np.int64) - 1
    for at, run in enumerate(runs):
        there = wanted[wanted < run.epochs]
        for number, name in enumerate(names):
            if name in run.curves and (name != "val_accuracy" or _is_measured(run, name)):
                curves[number, at, : len(there)] = run.curves[name][there]
    bits = curves.view(np.uint32)
    finite = np.isfinite(curves)
    half, mask = np.uint32(1 << (_LOST_BITS - 1)), np.uint32(0xFFFFFFFF << _LOST_BITS & 0xFFFFFFFF)
    bits[finite] = (bits[finite] + half) & mask
    return curves
