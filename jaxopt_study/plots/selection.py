"""Which runs a figure shows: filters and groups of seeds."""

from collections.abc import Mapping, Sequence

from jaxopt_study.analysis.runs import Runs, as_trained, configuration, has
from jaxopt_study.history import MOMENTUM_RULES, History
from jaxopt_study.plots import labels

Key = tuple[float | str, ...]


class NotDrawable(ValueError):
    """These runs do not hold what the figure shows; the message says what is missing."""


def value_of(history: History, name: str) -> float | str:
    """A hyperparameter of a run as trained, so that float32 groups, or its ``"optimizer"``; NotDrawable without it."""
    if name == "optimizer":
        return history.optimizer
    if name not in history.hyperparameters:
        raise NotDrawable(f"{labels.optimizer(history.optimizer)} has no hyperparameter {name!r}")
    return as_trained(history.hyperparameters[name])


def matching(histories: Sequence[History], where: Mapping[str, float]) -> list[History]:
    """The runs with these hyperparameters; NotDrawable if there are none."""
    kept = [h for h in histories if has(h.hyperparameters, where)]
    if not kept:
        wanted = labels.listing(f"{labels.hyperparameter(n)} {labels.number(v)}" for n, v in where.items())
        raise NotDrawable(f"no run has {wanted}" if histories else "there are no runs")
    return kept


def of_rule(histories: Sequence[History], rule: str) -> list[History]:
    """Trained runs of a rule as :class:`Runs` finds them, of a rule with momentum those of SGD at its own rates only.

    Raises:
        NotDrawable: if there are none.
    """
    rates = {value_of(h, "learning_rate") for h in histories if rule in MOMENTUM_RULES and h.optimizer == rule}
    runs = [h for cell in Runs(histories).cells(rule) for h in cell.histories]
    kept = [h for h in runs if rule not in MOMENTUM_RULES or value_of(h, "learning_rate") in rates]
    if not kept:
        raise NotDrawable(f"there is no run of {labels.optimizer(rule)}")
    return kept


def values(histories: Sequence[History], name: str) -> list[float]:
    """The different values of a hyperparameter, ascending; runs without it are passed over."""
    return sorted({float(value_of(h, name)) for h in histories if name in h.hyperparameters})


def grouped(histories: Sequence[History], by: Sequence[str]) -> dict[Key, list[History]]:
    """Runs that differ in their seed alone, by the values of ``by``, ascending.

    Raises:
        NotDrawable: if two runs of a group differ in more than their seed: they must not be averaged.
    """
    groups: dict[Key, list[History]] = {}
    for history in histories:
        groups.setdefault(tuple(value_of(history, name) for name in by), []).append(history)
    for key, members in groups.items():
        if len({configuration(h) for h in members}) > 1:
            raise NotDrawable(
                f"runs with {labels.listing(by)} {key} differ in more than their seed: show fewer of them"
            )
    return dict(sorted(groups.items(), key=lambda item: item[0]))


def diverged(histories: Sequence[History]) -> list[int]:
    """Epochs in which the runs that diverged did so, ascending (0 where it is not known)."""
    return sorted(h.diverged_epoch or 0 for h in histories if h.status == "diverged")
