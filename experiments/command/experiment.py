"""What an experiment is: its axes, how runs are made of them, and the presets. No flags here: see common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxopt_study.analysis import Runs
from jaxopt_study.grids.run import Run

Values = Mapping[str, Sequence[float]]
"""The values of an experiment's axes, by the names of their flags."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {"dataset": "digits", "max_epochs": 20, "patience": 50, "seeds": 2},
    "article": {"dataset": "tfds:cats_vs_dogs", "image_size": 128, "max_epochs": 1000, "patience": 50, "seeds": 1},
}
"""Values of flags that are not given. They are one for all experiments, so that these can share a work directory."""


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
    """An experiment as data.

    Attributes:
        name: of its module, its figures and its default work directory.
        title: what the report calls it.
        axes: by the names of their flags.
        make_runs: ``(values, seeds) -> runs``, in the order in which they are to be trained.
        presets: what it has otherwise than ``PRESETS``, by the preset.
        choose: ``(finished, runs, seeds) -> runs``: the runs in the light of those finished with the same settings.
        parts: the experiments whose figures are drawn from these runs, with their values; None for all runs, whatever
            their values. The experiment itself, if None.
    """

    name: str
    title: str
    axes: Mapping[str, Axis]
    make_runs: Callable[[Values, int], list[Run]]
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
