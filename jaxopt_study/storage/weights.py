"""Best weights: written with Orbax, read back as a function that predicts."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_study.data.pictures import UnreadableImage, decode
from jaxopt_study.errors import Damaged, EnvironmentFault, InputError, one_line
from jaxopt_study.models.network import Example, Network, Variables, check_inputs, example_from
from jaxopt_study.settings import own_switches
from jaxopt_study.storage import workdir
from jaxopt_study.storage.choice import NOTES, choose
from jaxopt_study.storage.quiet import quieten_orbax, why

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
        example: what one is, in the network's terms; None where that is not checked.
    """

    network: Network
    variables: Variables
    classes: tuple[str, ...]
    loss: str
    shape: tuple[int, ...] = ()
    run: str = ""
    example: Example | None = None

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

        Raises:
            InputError: the examples are of another shape.
        """
        if self.example is not None:
            check_inputs(self.example, inputs)
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


def write(folder: Path, variables: Variables, trained_with: Mapping[str, Any]) -> None:
    """Writes a run's variables, and what they are of, replacing what a cut-off run left there.

    EnvironmentFault: they cannot be written.
    """
    from orbax import checkpoint as ocp  # takes seconds to import

    try:
        for left in (folder, *folder.parent.glob(f"{folder.name}.orbax-checkpoint-tmp*")):
            shutil.rmtree(left, ignore_errors=True)
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder.absolute(), variables._asdict())
    except Exception as error:
        raise EnvironmentFault(f"cannot write {folder}: {why(error)}") from error
    workdir.write_json(folder / NOTES, {"sha256": _digest(variables), "of": trained_with})


def _read(folder: Path, wanted: Any) -> Variables:
    """Variables of the shapes ``wanted``.

    Raises:
        InputError: they are of another network.
        Damaged: they are not those that were written.
    """
    from orbax import checkpoint as ocp  # takes seconds to import

    quieten_orbax()
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            written = checkpointer.metadata(folder).item_metadata.tree
            if _shapes(written) != _shapes(wanted):
                raise InputError("model", _told(wanted), f"allowed is the run's network, with {_told(written)}")
            variables = Variables(**checkpointer.restore(folder, wanted))
        # Those of earlier versions have no digest.
        if (folder / NOTES).exists() and workdir.read_json(folder / NOTES)["sha256"] != _digest(variables):
            raise ValueError("its content is not what was written")
    except InputError:
        raise
    except Exception as error:  # Orbax and its storage raise many kinds for a damaged file
        run = folder.parents[1] / "runs" / f"{folder.name}.parquet"
        advice = f"without {run} the command of its study trains the run again"
        raise Damaged(folder, one_line(error), advice) from error
    return variables


def _shapes(tree: Any) -> list[tuple[str, tuple[int, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return sorted((jax.tree_util.keystr(path), tuple(leaf.shape)) for path, leaf in leaves)


def _told(tree: Any) -> str:
    return "weights " + ", ".join(f"{path} {list(shape)}" for path, shape in _shapes(tree) if path.startswith("['par"))


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
        run: a run's fingerprint (its file name in runs/), or what singles it out among the runs of the network and of
            the study that was run there last, such as
            ``{"optimizer": "momentum", "learning_rate": 0.01, "momentum": 0.9, "seed": 0}``; None is the one of these
            with the lowest validation loss, or the best value of what was monitored.
        model: the network as it was given to the study, where it is not the article's; of one with ``model_axes`` that
            of the run.

    Raises:
        EnvironmentFault: the directory holds no weights of that run, or they are damaged.
        InputError: no run, or more than one, fits; or the network is another.
    """
    chosen = choose(Path(folder), run, model)
    data, example = chosen.data, example_from(chosen.data["inputs"]) if "inputs" in chosen.data else None
    shape = tuple(data["image_shape"])
    network = chosen.model.build(shape if example is None else example, chosen.outputs, chosen.batch_size)
    shapes: Any = jax.eval_shape(network.init, jax.random.key(0))
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes._asdict())
    variables = _read((Path(folder) / "weights" / chosen.run).absolute(), wanted)
    return Predictor(
        network,
        variables,
        tuple(data["classes"]),
        chosen.loss,
        shape,
        chosen.run,
        shape if example is None else example,
    )
