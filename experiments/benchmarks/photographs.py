"""The prepared photographs as a few files to be carried to a machine that cannot fetch them.

    python -m experiments.benchmarks.photographs --data_dir=.. --output=packs

Of the split train of a prepared TFDS set the encoded pictures, in stored order, with their labels: `unpacked` gives the
data set that `load` gives, pixel for pixel, so that runs are the same ones; each file has the fingerprint that it must
have. Neither TFDS nor array_record is needed there.
"""

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments.command import flags as command
from jaxopt_study.data import Dataset, load, pictures
from jaxopt_study.data.dataset import Source, assemble, digest_of
from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.files import write_atomically

MOST_BYTES = 49 << 20


class Pictures(NamedTuple):
    """Encoded pictures with labels ``[N]``; ``about`` is what `unpacked` needs besides, JSON values."""

    encoded: Sequence[bytes]
    labels: Sequence[int]
    about: dict[str, Any]


def write(content: Pictures, folder: Path, most_bytes: int = MOST_BYTES) -> list[Path]:
    """Writes ``part_0.npz`` and so on, each of at most about so many bytes, and returns their paths."""
    ends = np.cumsum([len(x) for x in content.encoded])
    count = math.ceil(ends[-1] / most_bytes)
    bounds = np.searchsorted(ends, np.linspace(0, ends[-1], count + 1)[1:-1])
    paths = []
    for part, chosen in enumerate(np.split(np.arange(len(ends)), bounds)):
        blobs = [content.encoded[i] for i in chosen]
        arrays: dict[str, Any] = {
            "data": np.frombuffer(b"".join(blobs), np.uint8),
            "sizes": np.array([len(blob) for blob in blobs], np.int32),
            "labels": np.array([content.labels[i] for i in chosen], np.int32),
            "about": np.array(json.dumps({**content.about, "part": part, "parts": count})),
        }
        paths.append(folder / f"part_{part}.npz")
        write_atomically(paths[-1], functools.partial(np.savez, **arrays))
    return paths


def read(folders: Sequence[Path]) -> Pictures:
    """What `write` wrote, its files in any of the folders; EnvironmentFault: one is missing or no such file."""
    parts: dict[int, Any] = {}
    for path in sorted(path for folder in folders for path in folder.glob("part_*.npz")):
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                parts[about["part"]] = (about, file["data"].tobytes(), file["sizes"], file["labels"])
        except (OSError, KeyError, ValueError) as error:
            raise EnvironmentFault(f"{path} cannot be read ({error})") from error
    about = next(iter(parts.values()))[0] if parts else {"parts": 1}
    if sorted(parts) != list(range(about["parts"])):
        there, places = ", ".join(map(str, sorted(parts))) or "none", ", ".join(map(str, folders))
        raise EnvironmentFault(f"of the {about['parts']} parts of the photographs {there} lie in {places}")
    encoded: list[bytes] = []
    for _, data, sizes, _ in (parts[part] for part in sorted(parts)):
        ends = np.cumsum(sizes)
        encoded += [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return Pictures(encoded, np.concatenate([parts[part][3] for part in sorted(parts)]).tolist(), about)


def unpacked(content: Pictures, image_size: int) -> Dataset:
    """The data set, decoded by all cores; EnvironmentFault: it is not the one that was packed."""
    images = np.empty((len(content.encoded), image_size, image_size, 3), np.uint8)

    def work(chunk: range) -> None:
        for i in chunk:
            images[i] = pictures.decode(content.encoded[i], image_size, image_size, 3)

    pictures.in_threads(len(images), work, title="Decoding", progress=False)
    about = content.about
    train, val = np.split(np.arange(len(images)), [about["train_count"]])
    labels = np.array(content.labels, np.int32)
    source = Source(images, labels, tuple(about["classes"]), train, val, digest_of(images))
    dataset = assemble(about["name"], source, classes=None, train_examples=None, val_examples=None)
    expected = about["fingerprints"].get(str(image_size))
    if expected not in (None, dataset.fingerprint):
        raise EnvironmentFault(f"decoded here the photographs are others ({dataset.fingerprint}, not {expected})")
    return dataset


def of_tfds(name: str, data_dir: str, image_sizes: Sequence[int]) -> Pictures:
    """The pictures of a prepared TFDS set; their fingerprints at these sizes are looked up by loading it."""
    import tensorflow_datasets as tfds  # slow to import

    datasets = {size: load(f"tfds:{name}", image_size=size, data_dir=data_dir) for size in image_sizes}
    (folder,) = Path(data_dir).expanduser().glob(f"{name}/*.*.*")
    source = tfds.builder_from_directory(folder)
    records = source.as_data_source(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    encoded, labels = [], []
    for start in range(0, len(records), 512):
        for record in records.__getitems__(list(range(start, min(start + 512, len(records))))):
            encoded.append(bytes(record["image"]))
            labels.append(int(record["label"]))
    about = {
        "name": f"tfds:{name}",
        "classes": source.info.features["label"].names,
        "train_count": source.info.splits["train[:80%]"].num_examples,
        "fingerprints": {str(size): dataset.fingerprint for size, dataset in datasets.items()},
    }
    return Pictures(encoded, labels, about)


def define_flags() -> None:
    """The command's flags; by the module that is run only."""
    flags.DEFINE_string("dataset", "tfds:cats_vs_dogs", "tfds:NAME, a prepared set.")
    flags.DEFINE_string("data_dir", "~/tensorflow_datasets", "Folder of prepared TFDS sets.")
    flags.DEFINE_string("output", "packs", "Folder for the files.")


def run() -> None:
    """From the flags to the files."""
    kind, _, name = flags.FLAGS.dataset.partition(":")
    if kind != "tfds" or not name.isidentifier():
        raise InputError("--dataset", flags.FLAGS.dataset, "allowed is tfds:NAME")
    content = of_tfds(name, flags.FLAGS.data_dir, (32, 128))
    for path in write(content, Path(flags.FLAGS.output)):
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    define_flags()
    command.start(run)
