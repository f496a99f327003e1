"""The page while a study trains: from its store and from what is under way, made again when these change."""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.article import tables as article
from experiments.article.claim import Judgement, judge
from experiments.command import experiment, outputs
from experiments.command.results import Results, read
from jaxopt_study.analysis.minima import minimum
from jaxopt_study.analysis.runs import configuration_of
from jaxopt_study.errors import Damaged, InputError
from jaxopt_study.history import History
from jaxopt_study.plots import labels
from jaxopt_study.report import page, tables, wording
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import directions
from jaxopt_study.report.outcome import losses_unit, monitor_of
from jaxopt_study.report.server import Served
from jaxopt_study.storage import workdir
from jaxopt_study.storage.store import read_run, run_files
from jaxopt_study.watch.live import FILES, UnderWay, read_live

REST = 20
"""Times as long as making the page, or judging the claims, took it is not done again: it must not hold training up."""


QUIET = 60.0
"""Seconds after which it is said that nothing is heard of a study."""


class LivePage:
    """Makes the page of work directories; calling it gives the newest, see ``report.server.Server``."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = list(folders)
        self._known: dict[str, History] = {}
        self._damaged: list[str] = []
        self._served = Served("", "")
        self._judged: tuple[float, list[Judgement]] = (0.0, [])
        self._next = 0.0

    def __call__(self) -> Served:
        """The page as it is now, or was a moment ago."""
        version = str(hash(tuple(_stamp(folder) for folder in self.folders)))
        if version != self._served.version and time.monotonic() >= self._next:
            begin, is_first = time.thread_time(), not self._served.version
            self._served = Served(version, self._make())
            took = 0.0 if is_first else time.thread_time() - begin  # the first imports much
            self._next = time.monotonic() + REST * took
        return self._served

    def _make(self) -> str:
        results = self._read()
        self._known = dict(zip(results.files, results.histories, strict=True))
        live = [told for folder in self.folders for told in read_live(folder)]
        finished = set(map(_computation, results.histories))
        live = [told.without(lambda run: _computation(run) in finished) for told in live]
        under_way = [run for told in live for run in told.histories]
        histories = [*results.histories, *under_way]
        origins, again, of_article = outputs.origins(results), "", dict[str, Any]()
        if results.of_article:
            best, again = article.best_runs(results.runs), outputs.command_again(results)
            of_article = {"where": results.where, "question": experiment.question(results.drawn)}
            if judgements := self._judgements(results):
                of_article["reference"] = article.reference(judgements, experiment.sections())
        else:
            best = tables.best_configurations(results.histories, results.chance, monitor_of(origins[0].config))
        return page.render(
            title=outputs.title(results),
            origins=origins,
            best_runs=best,
            runs=tables.summary(histories, results.chance),
            data=study_data(
                histories, results.chance, files=[*results.files, *[""] * len(under_way)], unit=losses_unit(origins),
                again=again, directions=directions(origins),
            ),
            chance=results.chance,
            notes=[*outputs.left_out(results), *self._damaged],
            progress=progress(results, live),
            **of_article,
        )  # fmt: skip

    def _read(self) -> Results:
        self._damaged = []
        try:
            return read(self.folders, self._known, self._read_if_whole)
        except InputError:  # nothing is finished yet
            configs: list[dict[str, Any]] = [
                workdir.usable(workdir.read_config, folder / "config.json") for folder in self.folders
            ]
            drawn = {name: values for config in configs for name, values in config.get("experiments", {}).items()}
            return Results([(f, c, {}) for f, c in zip(self.folders, configs, strict=True)], [], 0, drawn)

    def _read_if_whole(self, path: Path) -> History | None:
        try:
            return read_run(path)
        except Damaged as error:
            self._damaged.append(f"A run is left out: {error}.")
            return None

    def _judgements(self, results: Results) -> list[Judgement]:
        next_time, judged = self._judged
        begin = time.monotonic()
        if begin >= next_time:
            judged = judge(experiment.claims(), results.runs)
            took = time.monotonic() - begin
            self._judged = (begin + REST * took, judged)
        return judged


def _stamp(folder: Path) -> tuple[object, ...]:
    """What changes when there is something new in a work directory."""
    times = []
    for path in (*sorted(folder.glob(FILES)), folder / "config.json"):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime_ns)
    return *times, len(run_files(folder))


def progress(results: Results, live: Sequence[UnderWay]) -> page.Progress:
    """How far the studies are: runs finished and under way, the best loss so far, time left."""
    budgets = dict(budget for _, config, _ in results.origins for budget in _budgets(config))
    running, done = [run for told in live for run in told.histories], len(results.histories)
    total = max(len(budgets), done)
    left_of = {key: budgets[key] for key in budgets.keys() - set(map(_computation, results.histories))}
    for run in running:
        if (key := _computation(run)) in left_of:
            left_of[key] = max(left_of[key] - run.epochs, 0)
    left = sum(left_of.values())
    under_way = f"{len(running)} under way" if running else "none under way"
    if total and not done and not running:
        under_way += " yet: a study begins with reading its data and compiling"
    parts = [f"{done} of {labels.counted(total, 'run')} finished" if total > done else f"{done} finished", under_way]
    lowest = [minimum(run.curves["val_loss"]).value for run in (*results.histories, *running)]
    if finite := [value for value in lowest if math.isfinite(value)]:
        parts.append(f"lowest validation loss so far {wording.loss(min(finite))}")
    seconds, epochs = max((told.seconds for told in live), default=0.0), sum(told.epochs for told in live)
    if epochs > 0 and left:
        parts.append(f"at most {wording.duration(seconds / epochs * left)} left")
    ago = time.time() - max((told.written for told in live), default=math.inf)
    if ago > QUIET:
        parts.append(f"nothing heard of the training for {wording.duration(ago)}")
    most = sum(budgets.values())
    return page.Progress(1 - left / most if most else 1.0, ", ".join(parts) + ".")


def _budgets(config: Mapping[str, Any]) -> Iterator[tuple[tuple[object, ...], int]]:
    """What each computation of a config.json's grid trains at most, in epochs: the study's number, or its own."""
    usual = config.get("settings", {}).get("max_epochs", 0)
    for entry in config.get("grid", ()):
        numbers = {name: value for name, value in entry.items() if name not in ("optimizer", "seed", "data_seed")}
        key = configuration_of(entry["optimizer"], numbers), entry["seed"], entry.get("data_seed")
        yield key, int(numbers.get("max_epochs", usual))


def _computation(run: History) -> tuple[object, ...]:
    return configuration_of(run.optimizer, run.hyperparameters), run.seed, run.data_seed
