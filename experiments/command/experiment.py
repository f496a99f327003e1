"""What a chapter is - its axes, how runs are made of them, what it claims and draws of them - and which there are.

No flags here. The chapters are found by name, so that none is imported by what it imports.
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.article.claim import Claim
from jaxopt_study import plots
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.grids.run import Run, make_run, product
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.plots.selection import NotDrawable

if TYPE_CHECKING:
    from jaxopt_study.plots.picture import Picture, Recipe, Source

Values = Mapping[str, Sequence[float]]
"""The values of an experiment's axes, by the names of their flags."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"dataset": "digits", "max_epochs": 20, "patience": 50, "seeds": 2},
    "article": {"dataset": "tfds:cats_vs_dogs", "image_size": 128, "max_epochs": 1000, "patience": 50, "seeds": 1},
}
"""Values of flags that are not given. They are one for all experiments, so that these can share a work directory."""

Answer = tuple[tuple[str, ...], Sequence[tuple[str | float | None, ...]]]
"""A table: the names of its columns, and its rows."""


class Axis(NamedTuple):
    """A hyperparameter that a flag lists values of.

    Attributes:
        optimizer: name in the registry of the rule whose range the values must be in.
        hyperparameter: its name there.
        values: where the flag is not given.
        of: what the flag's help says they are of, if it is not plain.
    """

    optimizer: str
    hyperparameter: str
    values: tuple[float, ...]
    of: str = ""


class Experiment(NamedTuple):
    """An experiment as data: a chapter is one file that says all of this.

    Attributes:
        name: of its module, its figures and its default work directory.
        title: what the report calls it.
        axes: by the names of their flags.
        make_runs: ``(values, seeds) -> runs``, in the order in which they are to be trained.
        section: the heading in the report over its figures; those without a number need none.
        claims: the article's, in its order.
        figures: each with the article's number of it, 0 where the article has no such figure.
        table: ``source -> columns and rows`` of tables/NAME.csv, from the runs that its figures are drawn from.
        presets: what it has otherwise than ``PRESETS``, by the preset.
        choose: ``(finished, runs, seeds) -> runs``: the runs in the light of those finished with the same settings.
        parts: the experiments whose figures are drawn from these runs, with their values; None for all runs, whatever
            their values. The experiment itself, if None.
    """

    name: str
    title: str
    axes: Mapping[str, Axis]
    make_runs: Callable[[Values, int], list[Run]]
    section: str = ""
    claims: tuple[Claim, ...] = ()
    figures: "Sequence[tuple[int, Recipe]]" = ()
    table: "Callable[[Source], Answer] | None" = None
    presets: Mapping[str, Mapping[str, Any]] = {}
    choose: Callable[[Runs, list[Run], int], list[Run]] | None = None
    parts: Mapping[str, Values | None] | None = None

    def preset(self, name: str) -> Mapping[str, Any]:
        """The values of flags that are not given."""
        return {**PRESETS[name], **self.presets.get(name, {})}

    def drawn(self, values: Values) -> Mapping[str, Values | None]:
        """The experiments whose figures are drawn, with the values of their axes; see ``parts``."""
        return {self.name: values} if self.parts is None else self.parts

    @property
    def defaults(self) -> Values:
        """The values of the axes where no flag is given."""
        return {name: axis.values for name, axis in self.axes.items()}


def full_grid(axes: Mapping[str, Axis], *rules: str) -> Callable[[Values, int], list[Run]]:
    """``make_runs`` of an experiment that trains each rule at every combination of the axes' values with each seed."""

    def make_runs(values: Values, seeds: int) -> list[Run]:
        numbers = {axis.hyperparameter: values[name] for name, axis in axes.items()}
        return [run for rule in rules for run in product(rule, numbers, seeds)]

    return make_runs


def first_as_momentum(runs: Sequence[Run]) -> list[Run]:
    """The runs, with those of plain SGD once more in front as momentum 0: the first name is the one to be trained.

    The numbers are the same, and a study with both compiles one program less.
    """
    canonical = [(*registry.canonical(run.optimizer, dict(run.hyperparameters)), run.seed) for run in runs]
    plain = [
        make_run("momentum", {**numbers, "momentum": 0.0}, seed) for rule, numbers, seed in canonical if rule == "sgd"
    ]
    return [*plain, *runs]


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


def question(names: Iterable[str]) -> str:
    """What the experiments with these names ask: the first line of the module of the one, or of the one with all."""
    known = [name for name in names if name in NAMES]
    name = known[0] if len(known) == 1 else "replicate" if set(known) > set(GRIDS) else ""
    text = importlib.import_module(f"experiments.{name}").__doc__ if name else ""
    return (text or "").splitlines()[0].split(" (")[0] if text else ""


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
