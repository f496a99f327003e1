"""Best weights: written with Orbax, read back as a function that predicts."""

import hashlib
import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.analysis.best import best_run
from jaxopt_study.analysis.minima import Monitor
from jaxopt_study.analysis.runs import has
from jaxopt_study.data.pictures import UnreadableImage, decode
from jaxopt_study.errors import Damaged, EnvironmentFault, InputError, one_line
from jaxopt_study.models.build import Model, article_model
from jaxopt_study.models.network import Network, Variables, example_from
from jaxopt_study.models.own import model_of
from jaxopt_study.settings import own_switches
from jaxopt_study.storage import workdir
from jaxopt_study.storage.quiet import quieten_orbax, why
from jaxopt_study.storage.store import numbers_of, read_runs

_DIGEST = "digest.json"
_FEW = 10
"""Classes that are told by their names."""


class Predictor(NamedTuple):
    """A trained network.

    Attributes:
        network: how it computes.
        variables: at the run's lowest validation loss, or the best value of what was monitored.
        classes: names of the labels; empty for numbers.
        loss: the name of what it was trained to lower.
        shape: of one picture ``[height, width, channels]``; empty for other inputs.
        run: its run's fingerprint.
    """

    network: Network
    variables: Variables
    classes: tuple[str, ...]
    loss: str
    shape: tuple[int, ...] = ()
    run: str = ""

    def __repr__(self) -> str:
        few = len(self.classes) <= _FEW
        classes = f"classes {', '.join(self.classes)}" if few else f"{len(self.classes)} classes"
        shape = f"examples of {' x '.join(map(str, self.shape))}" if self.shape else ""
        return f"<{'; '.join(filter(None, [f'run {self.run}', shape, classes if self.classes else 'numbers']))}>"

    def __call__(self, inputs: Any) -> Any:
        """Predictions for examples ``[N, ..]`` of the shape and type trained on.

        Returns:
            Where the loss is a cross-entropy probabilities float32 ``[N, len(classes)]``, of sequences
            ``[N, T, len(classes)]``; the network's outputs where it is another, or one's own.
        """
        outputs = jax.jit(lambda x: self.network.evaluate(self.variables, self.network.prepare(x, False)))(inputs)
        if self.loss == "sigmoid":
            positive = np.asarray(jax.nn.sigmoid(outputs))
            return np.concatenate([1 - positive, positive], axis=1)
        link = {"softmax": jax.nn.softmax, "multi_label": jax.nn.sigmoid}.get(self.loss, lambda values: values)
        return jax.tree.map(np.asarray, link(outputs))

    def classify(self, picture: str | Path) -> dict[str, float]:
        """The probability of each class for a picture in a file, shrunk as those were that the network was trained on.

        Raises:
            InputError: it is no picture that Pillow reads, or the network does not tell classes of pictures apart.
        """
        if len(self.shape) != 3 or self.shape[-1] not in (1, 3, 4) or self.loss not in ("sigmoid", "softmax"):
            allowed = f"allowed is a network for classes of pictures, with cross-entropy; this one has {self.loss}"
            raise InputError("classify", picture, f"{allowed} of examples of {list(self.shape)}")
        try:
            pixels = decode(Path(picture), *self.shape)
        except UnreadableImage as error:
            raise InputError("picture", picture, f"allowed is a file that Pillow reads ({error})") from error
        return dict(zip(self.classes, self(pixels[None])[0].tolist(), strict=True))


def write(folder: Path, variables: Variables) -> None:
    """Writes a run's variables, replacing what a cut-off run left there; EnvironmentFault: they cannot be written."""
    from orbax import checkpoint as ocp  # takes seconds to import

    try:
        for left in (folder, *folder.parent.glob(f"{folder.name}.orbax-checkpoint-tmp*")):
            shutil.rmtree(left, ignore_errors=True)
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder.absolute(), variables._asdict())
    except Exception as error:
        raise EnvironmentFault(f"cannot write {folder}: {why(error)}") from error
    workdir.write_json(folder / _DIGEST, {"sha256": _digest(variables)})


def _read(folder: Path, wanted: Any) -> Variables:
    """Variables of the shapes ``wanted``; Damaged: they are not those that were written."""
    from orbax import checkpoint as ocp  # takes seconds to import

    quieten_orbax()
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            variables = Variables(**checkpointer.restore(folder, wanted))
        # Those of earlier versions have no digest.
        if (folder / _DIGEST).exists() and workdir.read_json(folder / _DIGEST)["sha256"] != _digest(variables):
            raise ValueError("its content is not what was written")
    except Exception as error:  # Orbax and its storage raise many kinds for a damaged file
        run = folder.parents[1] / "runs" / f"{folder.name}.parquet"
        advice = f"without {run} the command of its study trains the run again"
        raise Damaged(folder, one_line(error), advice) from error
    return variables


def _digest(variables: Variables) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(variables._asdict()):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


@own_switches()
def load_model(
    folder: str | Path, run: str | Mapping[str, float | str] | None = None, *, model: Any = None
) -> Predictor:
    """The best weights of a run, ready to predict.

    Args:
        folder: a work directory trained with ``save_best_weights``.
        run: a run's fingerprint (its file name in runs/), or what singles it out, such as
            ``{"optimizer": "momentum", "learning_rate": 0.01, "momentum": 0.9, "seed": 0}``; None is the run with the
            lowest validation loss, or the best value of what was monitored.
        model: the network as it was given to the study, where it is not the article's.

    Raises:
        EnvironmentFault: the directory holds no weights of that run, or they are damaged.
        InputError: no run, or more than one, fits; or the network is another.
    """
    folder = Path(folder)
    config = workdir.read_config(folder / "config.json")
    if not config.keys() >= {"dataset", "identity", "loss"}:
        raise EnvironmentFault(f"{folder / 'config.json'} does not say what network was trained")
    monitor = Monitor(config["monitor"], config["mode"]) if config.keys() >= {"monitor", "mode"} else None
    fingerprint = run if isinstance(run, str) else _find(folder, run, monitor)
    saved = (folder / "weights" / fingerprint).absolute()
    if not saved.is_dir():
        raise EnvironmentFault(f"{folder} holds no weights of run {fingerprint}; train with --save_best_weights")
    data, identity = config["dataset"], config["identity"]
    chosen = _of_article(identity["model"]) if model is None else model_of(model)
    if chosen.identity not in config.get("models", [identity["model"]]):
        allowed = f"allowed is the network that was trained, {identity['model']}"
        raise InputError("model", chosen.identity, allowed)
    example = example_from(data["inputs"]) if "inputs" in data else tuple(data["image_shape"])
    network = chosen.build(example, identity["outputs"], identity["batch_size"])
    shapes: Any = jax.eval_shape(network.init, jax.random.key(0))
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes._asdict())
    shape = tuple(data["image_shape"])
    return Predictor(network, _read(saved, wanted), tuple(data["classes"]), config["loss"], shape, fingerprint)


def _of_article(identity: str) -> Model:
    """The variant of the article's network that is known by this name; the usual one if none is."""
    kinds = itertools.product((False, True), ("float32", "bfloat16"))
    known = [article_model(notebook=notebook, activations=activations) for notebook, activations in kinds]
    return next((model for model in known if model.identity == identity), known[0])


def _find(folder: Path, asked: Mapping[str, float | str] | None, monitor: Monitor | None) -> str:
    runs = read_runs(folder)
    if asked is None:
        return list(runs)[best_run(list(runs.values()), monitor)]
    rule = asked.get("optimizer")
    numbers = {name: float(value) for name, value in asked.items() if name != "optimizer"}
    fitting = [
        name
        for name, history in runs.items()
        if rule in (None, history.optimizer) and has({**numbers_of(history), "seed": history.seed}, numbers)
    ]
    if len(fitting) != 1:
        allowed = f"allowed is what singles one run out; {len(fitting)} of {len(runs)} fit"
        raise InputError("run", dict(asked), allowed)
    return fitting[0]
