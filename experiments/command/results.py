"""What work directories hold: finished runs of one set of data, network and settings, and which figures they give."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.article.claim import open_questions
from experiments.article.find import ArticleRuns
from experiments.command.experiment import Values, claims
from jaxopt_study.analysis.guessing import guessing_in
from jaxopt_study.analysis.looking import Question
from jaxopt_study.analysis.ranking import ranking
from jaxopt_study.analysis.runs import Runs
from jaxopt_study.errors import Damaged, InputError
from jaxopt_study.grids.run import Run
from jaxopt_study.history import History
from jaxopt_study.optimizers import registry
from jaxopt_study.settings import MOST_SEEDS
from jaxopt_study.storage import workdir
from jaxopt_study.storage.belonging import Belonging, named
from jaxopt_study.storage.store import read_run, run_files

if TYPE_CHECKING:
    from jaxopt_study.api import Study

Drawn = Mapping[str, Values | None]
"""Experiments whose figures are drawn, with the values of their axes; None for all runs, whatever their values."""

_ARTICLE_DATA = {"name": "tfds:cats_vs_dogs", "model": "article"}
_ARTICLE_SETUP = {
    **_ARTICLE_DATA, "image_shape": [128, 128, 3], "train_examples": 18610, "val_examples": 4652, "batch_size": 32,
}  # fmt: skip


class Results(NamedTuple):
    """The runs of one or several work directories.

    Attributes:
        origins: each directory's path, config.json and stats.json (empty where there is none).
        histories: a run a computation, in the order of the registry, the numbers and the seeds.
        foreign: runs in the directories that were trained with other data or settings, and left out.
        drawn: as the directories say; empty if they do not.
        files: the name of each run's file, without its ending.
    """

    origins: Sequence[tuple[Path, Mapping[str, Any], Mapping[str, Any]]]
    histories: Sequence[History]
    foreign: int
    drawn: Drawn
    files: Sequence[str] = ()

    @property
    def chance(self) -> float:
        """Loss of guessing."""
        return guessing_in(next((config for _, config, _ in self.origins if "dataset" in config), {}))

    @property
    def pending(self) -> list[Run]:
        """The runs of the directories' grids that are not finished there, each computation once."""
        found: dict[str, Run] = {}
        for _, config, _ in self.origins:
            if "identity" in config:
                found |= named(config)
        return [run for name, run in found.items() if name not in self.files]

    @property
    def of_article(self) -> bool:
        """Whether the article's figures and claims have something to say; not so of somebody's own study."""
        return not any(config.get("own", False) for _, config, _ in self.origins)

    @property
    def where(self) -> str:
        """On what data the runs were trained, at what size and for how long; empty if that is not known."""
        config = next((config for _, config, _ in self.origins if "dataset" in config), None)
        if config is None:
            return ""
        shape, epochs = config["dataset"]["image_shape"], config["identity"]["max_epochs"]
        size = f" at {shape[0]} x {shape[1]} pixels" if len(shape) > 1 else ""  # else arrays that are no pictures
        return f"{config['dataset']['name']}{size}, at most {epochs} epochs"

    @property
    def runs(self) -> ArticleRuns:
        """For the analysis."""
        data, setup = (
            all(_has(config, wanted) for _, config, _ in self.origins) for wanted in (_ARTICLE_DATA, _ARTICLE_SETUP)
        )
        executions = [config.get("execution", {}) for _, config, _ in self.origins]
        most_seeds = max((each["max_seeds"] or MOST_SEEDS for each in executions if each.get("until")), default=None)
        return ArticleRuns(
            self.histories, chance=self.chance, article_data=data, article_setup=setup, most_seeds=most_seeds
        )


def read(
    folders: Sequence[Path],
    known: Mapping[str, History] = MappingProxyType({}),
    read_one: Callable[[Path], History | None] = read_run,
) -> Results:
    """Reads work directories of one set of data, network and settings; ``known`` runs, by fingerprint, are at hand.

    What ``read_one`` gives nothing for is left out.

    Raises:
        InputError: a directory has no finished run, or they do not belong together.
        EnvironmentFault: a file is damaged.
    """
    configs: list[Mapping[str, Any]] = [workdir.read_config(folder / "config.json") for folder in folders]
    check_alike(folders, configs)
    histories: dict[str, History] = {}
    foreign = 0
    for folder, config in zip(folders, configs, strict=True):
        of_settings, others = of_folder(folder, config, known, read_one)
        if not of_settings:
            allowed = "allowed is a work directory with finished runs (runs/*.parquet)"
            raise InputError("--workdir", folder, f"{allowed}; {others} are of other settings" if others else allowed)
        histories = of_settings | histories
        foreign += others
    all_stats = [workdir.usable(workdir.read_stats, folder / "stats.json") for folder in folders]
    origins = list(zip(folders, configs, all_stats, strict=True))
    drawn = {name: values for config in configs for name, values in config.get("experiments", {}).items()}
    ordered = sorted(histories.items(), key=lambda named: _place(named[1]))
    return Results(origins, [run for _, run in ordered], foreign, drawn, [name for name, _ in ordered])


def check_alike(folders: Sequence[Path], configs: Sequence[Mapping[str, Any]]) -> None:
    """Refuses directories whose runs, of other data, networks or settings, cannot be compared."""
    first, *others = [config["identity"] for config in configs if "identity" in config] or [{}]
    for other in others:
        names = sorted(name for name in first.keys() | other.keys() if first.get(name) != other.get(name))
        if names:
            given = ",".join(map(str, folders))
            raise InputError("--workdir", given, f"allowed are directories that do not differ in {', '.join(names)}")


def of_folder(
    folder: Path,
    config: Mapping[str, Any],
    known: Mapping[str, History],
    read: Callable[[Path], History | None] = read_run,
) -> tuple[dict[str, History], int]:
    """The runs in a directory by their fingerprints, under the names that the study had for them, and how many others.

    What ``read`` gives nothing for is left out.

    Raises:
        EnvironmentFault: a file is damaged.
    """
    own = Belonging(config)
    histories, foreign = {}, 0
    for path in run_files(folder):
        history = known.get(path.stem) or read(path)
        if history is None:
            continue
        if not own.has(path.stem, history):
            foreign += 1
            continue
        if name := own.named.get(path.stem):
            numbers = dict(name.hyperparameters)
            rule, data_seed = name.optimizer, name.data_seed
            history = dataclasses.replace(history, optimizer=rule, hyperparameters=numbers, data_seed=data_seed)
        histories[path.stem] = history
    return histories, foreign


def finished(study: "Study") -> Runs:
    """The runs in a study's store that have its data, network and settings, whatever their numbers.

    Damaged ones are left out: the study, when it begins, sets them aside and says so.
    """
    histories, _ = of_folder(study.folder, {"identity": study.identity}, study.trained, _read_if_whole)
    return Runs(histories.values(), chance=study.guessing)


def _read_if_whole(path: Path) -> History | None:
    try:
        return read_run(path)
    except Damaged:
        return None


def undecided(study: "Study", histories: Sequence[History], most_seeds: int) -> list[Question]:
    """The article's claims that more seeds of a study's configurations may decide.

    On data that they do not speak of, what is open of the ranking of the best few.
    """
    config = study.describe()
    runs = ArticleRuns(
        histories, chance=study.guessing, article_data=_has(config, _ARTICLE_DATA),
        article_setup=_has(config, _ARTICLE_SETUP), most_seeds=most_seeds,
    )  # fmt: skip
    return open_questions(claims(), runs) if runs.article_data else ranking(histories, most_seeds)


def record(study: "Study", drawn: Drawn) -> None:
    """Brings config.json up to date after a study: what was run last, and whose figures the directory has."""
    path = study.folder / "config.json"
    config = workdir.usable(workdir.written_config, path)
    if config.get("identity") != study.identity:  # nothing had to be trained, and the file is of other settings
        config = study.described(config)
    workdir.write_json(path, {**config, "experiments": {**config.get("experiments", {}), **drawn}})


def configuration(optimizer: str, hyperparameters: Mapping[str, float]) -> tuple[object, ...]:
    """The canonical rule and its numbers as they are computed with."""
    if optimizer in registry.OPTIMIZERS:
        optimizer, hyperparameters = registry.canonical(optimizer, hyperparameters)
    return optimizer, *sorted((name, float(np.float32(value))) for name, value in hyperparameters.items())


def _has(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a config.json says this of data, network and settings."""
    known = {**config.get("dataset", {}), **config.get("identity", {})}
    return all(known.get(name) == value for name, value in wanted.items())


def _place(history: History) -> tuple[Any, ...]:
    rules = list(registry.OPTIMIZERS)
    place = rules.index(history.optimizer) if history.optimizer in rules else len(rules)
    return place, history.optimizer, tuple(history.hyperparameters.values()), history.replicate
