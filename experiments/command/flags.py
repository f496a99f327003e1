"""What every experiment's command shares: the flags, and the way from them to the work directory."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from experiments.command import grid_flags, machines
from experiments.command import start as command
from experiments.command.experiment import Experiment
from jaxopt_study.data import load
from jaxopt_study.engine.study import Execution, Interrupted, Study
from jaxopt_study.errors import InputError
from jaxopt_study.history import History
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.settings import PRECISIONS, Settings
from jaxopt_study.storage import remote, workdir
from jaxopt_study.watch import callbacks as watching
from jaxopt_study.watch import interrupts as attended

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
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for results, or s3://.. or gs://..; workdir/EXPERIMENT if not given."
)
SLOTS = flags.DEFINE_integer("slots", None, "Runs that train at once; chosen from the memory if not given.", 1)
DEVICES = flags.DEFINE_integer("devices", None, "Devices to use (CPU: cores); all if not given.", 1)
STRATEGY = flags.DEFINE_enum("strategy", "auto", ["auto", "vmap", "map"], "How a device trains its runs.")
MATMUL_PRECISION = flags.DEFINE_enum(
    "matmul_precision", "float32", PRECISIONS, "Of products of float32 arrays, where the device has coarser units."
)
ACTIVATIONS = flags.DEFINE_enum(
    "activations", "float32", ["float32", "bfloat16"], "Type of what convolutions and dense layers take and give."
)
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
        grid_flags.define_axis(name, axis)
    for module in (sys.modules[__name__], grid_flags, machines):
        for flag in flags.FLAGS.get_key_flags_for_module(module):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)  # so that --help lists it
    command.start(lambda: run(experiment), argv)


class Order(NamedTuple):
    """What the flags ask for, checked before data or devices are touched.

    Attributes:
        folder: the work directory.
        seeds: a configuration.
        asked: the runs.
        settings: what they share.
        execution: how to compute them.
    """

    folder: Path
    seeds: int
    asked: grid_flags.Asked
    settings: Settings
    execution: Execution


def order(experiment: Experiment) -> Order:
    """Reads the flags; writes nothing and needs no device.

    Raises:
        InputError: a flag cannot be used.
        EnvironmentFault: the work directory cannot be written.
    """
    preset = experiment.preset(PRESET.value)
    if machines.DISTRIBUTED.value and remote.is_url(WORKDIR.value or ""):
        raise InputError("--workdir", WORKDIR.value, "allowed with --distributed is a folder that all processes share")
    folder = workdir.check(remote.place(place_of(experiment)))
    seeds = given(SEEDS, preset)
    return Order(folder, seeds, grid_flags.asked(experiment, seeds), settings_of(preset), execution())


def place_of(experiment: Experiment) -> str:
    """The work directory as it was given: a folder or a URL."""
    return WORKDIR.value or str(Path("workdir") / experiment.name)


def run(experiment: Experiment) -> None:
    """Everything between the flags and the exit status."""
    asked = order(experiment)
    place = place_of(experiment)
    with remote.kept(place):
        carry_out(experiment, asked)
    if remote.is_url(place) and not DRY_RUN.value:
        print(f"all of it is at {place}")


def carry_out(experiment: Experiment, ordered: Order) -> None:
    """Data, training, tables, figures and report, as the flags ask for them."""
    preset = experiment.preset(PRESET.value)
    folder, seeds, asked, settings, execution = ordered
    runs = asked.runs
    callbacks = [watching.TensorBoard(folder / "tensorboard")] if TENSORBOARD.value else []
    from experiments.command import results  # takes its time to import: not before the flags are known to be good

    machines.prepare(DEVICES.value)
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
    make_model = functools.partial(
        article_model, notebook=NOTEBOOK_MODEL.value, kernels=KERNELS.value, activations=ACTIVATIONS.value
    )
    model = make_model()
    study = Study(settings, dataset, runs, folder, model=model, execution=execution)
    if experiment.choose and not asked.chosen:
        runs = grid_flags.where(experiment.choose(results.finished(study), runs, seeds))
        study = Study(settings, dataset, runs, folder, model=model, execution=execution)
    if DRY_RUN.value:
        from experiments.command import terminal

        terminal.show_plan(study)
        return
    histories = train(study, make_model, callbacks)
    if not machines.is_first():
        return
    results.record(study, asked.drawn)
    from experiments.command import outputs  # a second of imports that the first epoch does not wait for

    outputs.write([folder], folder, histories)


def train(study: Study, make_model: Callable[[], Model], callbacks: Sequence[watching.Callback] = ()) -> list[History]:
    """Trains with a progress line; an interrupt or a termination signal saves and stops.

    Raises:
        command.Stopped: it was asked to stop.
    """
    try:
        return attended.train(lambda watcher: machines.run(study, make_model, watcher), callbacks)
    except Interrupted:
        message = f"interrupted; {machines.kept()}, the same command goes on from here"
        raise command.Stopped(message) from None


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
        matmul_precision=MATMUL_PRECISION.value,
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
