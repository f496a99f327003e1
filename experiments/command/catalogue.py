"""All chapters by name, in the article's order, and what it leaves open; nothing else knows which there are."""

import functools
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.article.claim import Claim
from experiments.command.experiment import Experiment
from experiments.command.results import Results, configuration
from jaxopt_study import plots
from jaxopt_study.history import History
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import Picture

GRIDS = (
    "sgd_learning_rates",
    "momentum_grid",
    "momentum_formulations",
    "nesterov_grid",
    "rmsprop_grid",
    "adam_learning_rates",
    "adam_betas",
    "adagrad_learning_rates",
    "cyclical_learning_rate",
)
"""Those of the article that train a grid of their own."""

OPEN_QUESTIONS = ("effective_rate", "sign_descent", "nesterov_gain")
"""What the article leaves open; not of its sections."""

NAMES = (*GRIDS, "compare", *OPEN_QUESTIONS, "lr_range_test")


@functools.cache
def chapters() -> Mapping[str, Experiment]:
    """The experiments by name, in order. They are found by name so that no chapter is imported by what it imports."""
    return {name: importlib.import_module(f"experiments.{name}").EXPERIMENT for name in NAMES}


def grids() -> list[Experiment]:
    """The experiments of :data:`GRIDS`."""
    return [chapters()[name] for name in GRIDS]


def claims() -> list[Claim]:
    """The article's claims, in its order."""
    return [claim for chapter in chapters().values() for claim in chapter.claims]


def sections() -> list[tuple[int, str]]:
    """The number of the first figure of each of the article's sections, and its heading."""
    first: dict[str, int] = {}
    for chapter in chapters().values():
        if chapter.section:
            first.setdefault(chapter.section, chapter.figures[0][0])
    return [(number, heading) for heading, number in first.items()]


def title(name: str) -> str:
    """What the report calls an experiment; the name itself if it is not known."""
    return chapters()[name].title if name in NAMES else name


def runs_of(name: str, results: Results) -> list[History]:
    """The runs that a chapter's figures are drawn from: those of its grid, with all seeds that there are."""
    values = results.drawn.get(name)
    if values is None:
        return list(results.histories)
    runs = chapters()[name].make_runs(values, 1)
    wanted = {configuration(run.optimizer, dict(run.hyperparameters)) for run in runs}
    return [run for run in results.histories if configuration(run.optimizer, run.hyperparameters) in wanted]


def pictures(
    name: str,
    histories: Sequence[History],
    *,
    chance: float = math.log(2),
    on_absent: Callable[[str], None] | None = None,
) -> "Iterator[Picture]":
    """A chapter's figures that these runs can show, in the article's order; runs of other rules are passed over.

    ``chance`` is the loss of guessing, nats: the natural logarithm of the number of classes. ``on_absent`` is called
    with a sentence for each figure that is left out.
    """
    source = plots.picture.Source(histories, chance)
    for number, recipe in chapters()[name].figures:
        try:
            picture = recipe(source)
        except NotDrawable as why:
            if on_absent:
                on_absent(f"{f'Figure {number}' if number else name} is left out: {why}.")
        else:
            yield picture
