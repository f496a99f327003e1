"""The best configuration of a rule, as the analysis chooses it, with the words that figures need."""

from collections.abc import Mapping
from typing import NamedTuple

from experiments.article.recipes import Source
from jaxopt_study.analysis.minima import best_cell, mean_lowest
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.history import History
from jaxopt_study.plots import labels, selection


class Best(NamedTuple):
    """The best configuration of a rule."""

    rule: str
    numbers: Mapping[str, float]
    runs: list[History]
    """A run a seed."""
    value: float
    """Minimum validation loss, mean over the seeds."""

    @property
    def text(self) -> str:
        """``lr 0.01, momentum 0.5``; numbers that only guard against division by zero are left out."""
        shown = {n: v for n, v in self.numbers.items() if n not in ("eps", "initial_accumulator_value")}
        return ", ".join(f"{labels.short(name)} {labels.number(value)}" for name, value in shown.items())


def best(source: Source, rule: str) -> Best:
    """The configuration of a rule with the smallest mean of the minimum validation losses.

    Momentum 0 is SGD and does not count as a rule with momentum.

    Raises:
        NotDrawable: if the rule has no run.
    """
    runs = Runs(source.histories, chance=source.chance)
    cells = runs.family(rule)
    if not cells:
        raise selection.NotDrawable(f"there is no run of {labels.optimizer(rule)}")
    chosen = best_cell(runs, cells)
    members = [chosen.by_seed[seed] for seed in chosen.seeds]
    return Best(rule, chosen.hyperparameters, members, mean_lowest(runs, chosen))
