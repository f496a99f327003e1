"""The flags of whatever trains: those of the arguments of js.make_study, and what is done beside training."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from absl import flags

from jaxopt_study.settings import MOST_SEEDS, PRECISIONS, STRATEGIES, UNTIL, Execution, Machines, Settings

FLAGS = flags.FLAGS
OF_STUDY = (
    "seeds",
    "data_seeds",
    "tensorboard",
    *(f.name for of in (Settings, Execution, Machines) for f in dataclasses.fields(of)),
)
"""Flags that are arguments of js.make_study, of the same names."""
OF_DATA = ("data_dir", "cache_dir", "classes", "image_size", "train_examples", "val_examples", "leave_out_broken")
"""Flags that are arguments of js.load, of the same names."""


def value(name: str, usual: Mapping[str, Any]) -> Any:
    """A flag's value, or the usual one where it is not given."""
    given = FLAGS[name].value
    return usual.get(name) if given is None else given


def define_data() -> None:
    """Defines the flags that say which data and network."""
    text, whole, switch, choice = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool, flags.DEFINE_enum
    preset = "the preset's if not given"
    text("dataset", None, f"digits, tfds:NAME or folder:PATH; {preset}.")
    flags.DEFINE_list("classes", None, "Classes to tell apart, by name, or 'all'.")
    whole("image_size", None, f"Height and width in pixels, at least 2; {preset}.", 2)
    whole("train_examples", None, "Use only the first so many training examples.", 1)
    whole("val_examples", None, "Use only the first so many validation examples.", 1)
    switch("leave_out_broken", False, "Go on without pictures that cannot be read; which they are is told.")
    switch("notebook_model", False, "The network of the article's notebook.")
    types = "Type of what convolutions and dense layers take and give."
    choice("activations", "float32", ["float32", "bfloat16"], types)
    choice("kernels", "auto", ["auto", "fast", "cuda", "cuda_linked", "plain"], "This project's layers or Flax's own.")


def define(usual: str, workdir: str, *, batch_size: int | None = Settings.batch_size, seeds: str | None = None) -> None:
    """Defines the flags of training.

    Args:
        usual: whose value counts where a flag that has no default is not given, for its help.
        workdir: the folder for results where none is given, likewise.
        batch_size: where it is not given; None is what ``usual`` says.
        seeds: how many there are where it is not given, for its help; as ``usual`` says if None.
    """
    text, whole, switch, choice = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_bool, flags.DEFINE_enum
    text("data_dir", None, "Folder of prepared TFDS sets; TFDS's own if not given.")
    text("cache_dir", None, "Folder for decoded images; the user's cache folder if not given.")
    whole("batch_size", batch_size, f"Training examples a step, at least 1{'' if batch_size else f'; {usual}'}.", 1)
    whole("max_epochs", None, f"Epochs a run trains at most, at least 1; {usual}.", 1)
    stops = "Epochs without a lower validation loss after which a run ends, at least 1"
    whole("patience", None, f"{stops}; {usual}.", 1)
    held = "Share of the validation examples that is held back and only measured, from 0 to below 1"
    flags.DEFINE_float("test_share", Settings.test_share, f"{held}.", 0.0, 0.999)
    whole("seeds", None, f"Seeds 0 to this less 1 for every configuration; {seeds or usual}.", 1)
    whole("data_seed", Settings.data_seed, "Seed of the order of the examples and of a folder's split.", 0)
    orders = "Orders of the examples, and of data split here splits, each with all runs: seeds from --data_seed on."
    whole("data_seeds", None, orders, 1)
    text("workdir", None, f"Folder for results, or s3://.. or gs://..; {workdir} if not given.")
    whole("slots", Execution.slots, "Runs that train at once; chosen from the memory if not given.", 1)
    whole("devices", Execution.devices, "Devices to use (CPU: cores); all if not given.", 1)
    choice("strategy", Execution.strategy, STRATEGIES, "How a device trains its runs.")
    units = "Of products of float32 arrays, where the device has coarser units."
    choice("matmul_precision", Settings.matmul_precision, PRECISIONS, units)
    switch("diagnostics", Settings.diagnostics, "Measure oscillation, update size, distance and norms.")
    largest = "Measure the largest eigenvalue of the Hessian after epochs, and set it beside what a rule bears."
    switch("sharpness", Settings.sharpness, largest)
    apart = "Epochs from one measurement of --sharpness to the next; if not given, as many as cost 5% of the steps."
    whole("sharpness_every", None, apart, 1)
    ends = "End a run when its loss is not finite; otherwise it runs out its patience as in Keras."
    switch("stop_on_nonfinite", Settings.stop_on_nonfinite, ends)
    minutes = "Minutes between checkpoints, above 0."
    flags.DEFINE_float("checkpoint_minutes", Execution.checkpoint_minutes, minutes, 0.001)
    given = "Minutes, compilation counted, after which what is under way is saved and training ends, above 0."
    flags.DEFINE_float("max_minutes", Execution.max_minutes, given, 0.001)
    more = "decided: more seeds for the configurations that the most undecided claims hang on, until all are."
    choice("until", Execution.until, UNTIL, more)
    most = f"Seeds of a configuration at most, with --until; {MOST_SEEDS} if not given."
    whole("max_seeds", Execution.max_seeds, most, 2)
    switch("watch", False, "Serve the page to this machine while it trains; the address is printed.")
    switch("tensorboard", False, "Write TensorBoard event files, a run each, into the workdir.")
    switch("costs", False, "Measure what a step of each rule costs over SGD's, each alone; a compilation a rule.")
    rungs = "Successive halving: the best 1 / HALVING of a rule's runs go on at every rung; from 2."
    whole("halving", Settings.halving, rungs, 2)
    switch("dry_run", False, "Say what would be trained, in how much memory and time; train nothing.")
    switch("save_best_weights", Execution.save_best_weights, "Keep each run's weights at its best epoch.")
    kinds = "local (started here), auto (this machine is part of one) or ray://HOST:PORT"
    text("cluster", None, f"Train on a Ray cluster: {kinds}.")
    cores = "Cores of a cluster's worker; a GPU each if not given, or a machine each without GPUs."
    whole("cpus_per_worker", None, cores, 1)
    whole("workers", None, "Workers of a cluster at most; as many as fit if not given.", 1)
    part = "This is one of several processes that share --workdir, each with its part of the runs."
    switch("distributed", False, part)
    first = "HOST:PORT of the first process; found on Slurm, Cloud TPU and Open MPI, as are the next two."
    text("coordinator", None, first)
    whole("processes", None, "Number of processes of --distributed.", 1)
    whole("process_id", None, "Number of this process, from 0.", 0)
