"""What every experiment's command shares: the flags, and the way from them to the work directory."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import command
from experiments.experiment import Axis, Experiment
from jaxopt_study import devices, registry, watching, workdir
from jaxopt_study.data import load
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.models.build import article_model
from jaxopt_study.progress import TrainingProgress
from jaxopt_study.settings import Settings
from jaxopt_study.study import Execution, Interrupted, Study, Watcher

Preset = Mapping[str, Any]

_OF_PRESET = "the preset's if not given"
PRESET = flags.DEFINE_enum("preset", "quick", ["quick", "article"], "Which set of defaults all other flags override.")
DATASET = flags.DEFINE_string("dataset", None, f"digits, tfds:NAME or folder:PATH; {_OF_PRESET}.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS sets; TFDS's own if not given.")
CACHE_DIR = flags.DEFINE_string("cache_dir", None, "Folder for decoded images; the user's cache folder if not given.")
CLASSES = flags.DEFINE_list("classes", None, "Classes to tell apart, by name, or 'all'.")
IMAGE_SIZE = flags.DEFINE_integer("image_size", None, f"Height and width in pixels, at least 2; {_OF_PRESET}.", 2)
TRAIN_EXAMPLES = flags.DEFINE_integer("train_examples", None, "Use only the first so many training examples.", 1)
VAL_EXAMPLES = flags.DEFINE_integer("val_examples", None, "Use only the first so many validation examples.", 1)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Training examples a step, at least 1.", 1)
MAX_EPOCHS = flags.DEFINE_integer("max_epochs", None, f"Epochs a run trains at most, at least 1; {_OF_PRESET}.", 1)
PATIENCE = flags.DEFINE_integer(
    "patience", None, f"Epochs without a lower validation loss after which a run ends, at least 1; {_OF_PRESET}.", 1
)
SEEDS = flags.DEFINE_integer("seeds", None, f"Seeds 0 to this less 1 for every configuration; {_OF_PRESET}.", 1)
DATA_SEED = flags.DEFINE_integer("data_seed", 0, "Seed of the order of the examples and of a folder's split.", 0)
NOTEBOOK_MODEL = flags.DEFINE_bool("notebook_model", False, "The network of the article's notebook.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder for results; workdir/EXPERIMENT if not given.")
SLOTS = flags.DEFINE_integer("slots", None, "Runs that train at once; chosen from the memory if not given.", 1)
DEVICES = flags.DEFINE_integer("devices", None, "Devices to use (CPU: cores); all if not given.", 1)
STRATEGY = flags.DEFINE_enum("strategy", "auto", ["auto", "vmap", "map"], "How a device trains its runs.")
KERNELS = flags.DEFINE_enum("kernels", "auto", ["auto", "fast", "plain"], "This project's layers or Flax's own.")
DIAGNOSTICS = flags.DEFINE_bool("diagnostics", True, "Measure oscillation, update size, distance and norms.")
STOP_ON_NONFINITE = flags.DEFINE_bool(
    "stop_on_nonfinite", True, "End a run when its loss is not finite; otherwise it runs out its patience as in Keras."
)
CHECKPOINT_MINUTES = flags.DEFINE_float("checkpoint_minutes", 2.0, "Minutes between checkpoints, above 0.", 0.001)
TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write TensorBoard event files, a run each, into the workdir.")
HALVING = flags.DEFINE_integer(
    "halving", None, "Successive halving: the best 1 / HALVING of a rule's runs go on at every rung; from 2.", 2
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be trained, in how much memory and time; train nothing.")
SAVE_BEST_WEIGHTS = flags.DEFINE_bool("save_best_weights", False, "Keep each run's weights at its best epoch.")


def main(experiment: Experiment, argv: Sequence[str] | None = None) -> None:
    """Runs an experiment's command from flags to files and ends the program; see command.start."""
    for name, axis in experiment.axes.items():
        define_axis(name, axis)
    for flag in flags.FLAGS.get_key_flags_for_module(sys.modules[__name__]):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # so that --help lists it
    command.start(lambda: run(experiment), argv)


def define_axis(name: str, axis: Axis) -> None:
    """Defines the flag that lists an axis's values: only by the module that is run, so that names may be shared."""
    allowed = hyperparameter(axis).allowed
    usual = ",".join(f"{value:.4g}" for value in axis.values)
    what = axis.hyperparameter.replace("_", " ") + (f" of {axis.of}" if axis.of else "")
    text = f"Values of the {what}, comma-separated, each {allowed}; {usual} if not given."
    flags.DEFINE_list(name, None, text, allow_override=True)


def run(experiment: Experiment) -> None:
    """Everything between the flags and the exit status."""
    preset = experiment.preset(PRESET.value)
    folder = Path(WORKDIR.value or Path("workdir") / experiment.name).expanduser()
    workdir.check(folder)
    values = {name: axis_values(name, axis) for name, axis in experiment.axes.items()}
    seeds = given(SEEDS, preset)
    runs = experiment.make_runs(values, seeds)
    settings = settings_of(preset)
    callbacks = [watching.TensorBoard(folder / "tensorboard")] if TENSORBOARD.value else []
    # These take their time to import: not before the flags are known to be good.
    from experiments import outputs, results, terminal

    devices.configure(cpu_devices=DEVICES.value)
    devices.choose(DEVICES.value)
    dataset = load(
        given(DATASET, preset),
        image_size=given(IMAGE_SIZE, preset),
        data_dir=DATA_DIR.value,
        cache_dir=CACHE_DIR.value,
        classes=CLASSES.value,
        train_examples=TRAIN_EXAMPLES.value,
        val_examples=VAL_EXAMPLES.value,
        split_seed=DATA_SEED.value,
    )
    model = article_model(notebook=NOTEBOOK_MODEL.value, kernels=KERNELS.value)
    study = Study(settings, dataset, runs, folder, model=model, execution=execution())
    if experiment.choose:
        runs = experiment.choose(results.finished(study), runs, seeds)
        study = Study(settings, dataset, runs, folder, model=model, execution=execution())
    if DRY_RUN.value:
        terminal.show_plan(study)
        return
    before = results.read_config(folder)
    histories = train(study, callbacks)
    results.record(study, experiment.drawn(values), before)
    outputs.write([folder], folder, histories)


def train(study: Study, callbacks: Sequence[watching.Callback] = ()) -> list[History]:
    """Trains with a progress line; an interrupt or a termination signal saves and stops.

    Raises:
        command.Stopped: it was asked to stop.
    """
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with TrainingProgress() as progress:
            watcher = Watcher(progress.begin, progress.epoch, progress.end, progress.tick, lambda: bool(asked))
            return study.run(watching.watcher(*callbacks, also=watcher))
    except Interrupted:
        message = "interrupted; what was begun is saved, the same command goes on from here"
        raise command.Stopped(message) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settings_of(preset: Preset) -> Settings:
    """The flags that all runs share."""
    return Settings(
        batch_size=BATCH_SIZE.value,
        max_epochs=given(MAX_EPOCHS, preset),
        patience=given(PATIENCE, preset),
        data_seed=DATA_SEED.value,
        stop_on_nonfinite=STOP_ON_NONFINITE.value,
        halving=HALVING.value,
        diagnostics=DIAGNOSTICS.value,
    )


def execution() -> Execution:
    """The flags that say how it is computed."""
    return Execution(
        slots=SLOTS.value,
        devices=DEVICES.value,
        strategy=STRATEGY.value,
        checkpoint_minutes=CHECKPOINT_MINUTES.value,
        save_best_weights=SAVE_BEST_WEIGHTS.value,
    )


def given(holder: flags.FlagHolder[Any], preset: Preset) -> Any:
    """A flag's value, or the preset's."""
    return preset.get(holder.name) if holder.value is None else holder.value


def hyperparameter(axis: Axis) -> registry.Hyperparameter:
    """What the registry says of an axis."""
    return {each.name: each for each in registry.family(axis.optimizer).hyperparameters}[axis.hyperparameter]


def axis_values(name: str, axis: Axis) -> list[float]:
    """The values of an axis from its flag, each once, or the axis's own.

    Raises:
        InputError: an empty list, or a value that is not a number in the rule's range.
    """
    texts = flags.FLAGS[name].value
    if texts is None:
        return list(axis.values)
    known = hyperparameter(axis)
    allowed = f"allowed is a comma-separated list, each {known.allowed}"
    if not texts:
        raise InputError(f"--{name}", "", allowed)
    values = []
    for text in texts:
        try:
            values.append(known.check(float(text)))
        except ValueError:
            raise InputError(f"--{name}", text, allowed) from None
    return list(dict.fromkeys(values))
