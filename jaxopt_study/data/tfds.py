"""Image classification sets of TensorFlow Datasets, read without TensorFlow where they are prepared as array_record."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxopt_study.data import decode
from jaxopt_study.data.cache import Allocate, Decoded, through_cache
from jaxopt_study.data.dataset import Source, choose_classes
from jaxopt_study.data.prepare import prepare
from jaxopt_study.errors import InputError

ARTICLE_SIZE = 128
_NAME = re.compile(r"(?P<name>[a-z]\w*)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?")


class _Columns(NamedTuple):
    image: str
    label: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # height, width, channels of the decoded pictures


def read_tfds(
    name: str,
    *,
    image_size: int | None,
    data_dir: Path | None,
    cache_dir: Path,
    classes: Sequence[str] | None,
    progress: bool,
) -> Source:
    """All pictures of the split "train", cut into train[:80%] and train[80%:] in the stored order, as in the article.

    Args:
      name: NAME, NAME/CONFIG, either with :VERSION; the newest prepared version where none is given.
      image_size: S for [N, S, S, K]; None keeps the size of sets that have one, else takes the article's 128.
      data_dir: Where prepared sets lie; None is TFDS's own folder ($TFDS_DATA_DIR or ~/tensorflow_datasets).
      cache_dir: Of the decoded pictures.
      classes: Those that will be kept, to refuse unknown ones before decoding; all are decoded.
      progress: Whether to show a bar while decoding.

    Raises:
      InputError: no such set, not one of image classification, or its files are damaged.
      EnvironmentFault: not prepared, and TensorFlow is not there to prepare it.
    """
    wanted = _NAME.fullmatch(name)
    if wanted is None:
        raise InputError("--dataset", f"tfds:{name}", "tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:1.2.3")
    data_dir = data_dir or Path(os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets"))
    try:
        prepared = _find(wanted, data_dir)
        if prepared is None:
            prepare(name, data_dir, progress=progress)
            prepared = _find(wanted, data_dir)
            assert prepared is not None, f"TFDS prepared {name}, but not below {data_dir}"
        listing = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(prepared.iterdir())]
    except OSError as error:
        raise InputError("--data_dir", data_dir, f"must be a readable folder ({error.strerror})") from error
    _check_format(name, prepared)
    key = {"source": "tfds", "path": str(prepared.resolve()), "files": listing, **decode.key(image_size)}

    def build(allocate: Allocate) -> Decoded:
        return _decode(name, prepared, image_size, allocate, classes, progress)

    decoded, digest = through_cache(cache_dir, key, build)
    indices = np.arange(len(decoded.labels))
    train, val = np.split(indices, [decoded.train_count])
    return Source(decoded.images, decoded.labels, decoded.classes, train, val, digest)


def _find(wanted: re.Match[str], data_dir: Path) -> Path | None:
    """The folder of the newest prepared version that fits, found by its files alone (importing TFDS takes a while)."""
    if data_dir.exists() and not data_dir.is_dir():
        raise NotADirectoryError(None, "it is a file")
    base = data_dir / wanted["name"] / (wanted["config"] or "")
    found = _versions(base, wanted["version"])
    if not found and wanted["config"] is None:
        by_config = {folder.name: _versions(folder, wanted["version"]) for folder in sorted(base.glob("*/"))}
        configs = [config for config, versions in by_config.items() if versions]
        if len(configs) > 1:
            given, several = f"tfds:{wanted[0]}", ", ".join(f"{wanted['name']}/{config}" for config in configs)
            raise InputError("--dataset", given, f"must name one of the prepared configs: {several}")
        found = by_config[configs[0]] if configs else []
    return max(found, key=lambda folder: [int(part) for part in folder.name.split(".")], default=None)


def _versions(base: Path, version: str | None) -> list[Path]:
    # TFDS prepares in VERSION.incompleteXYZ, which the pattern leaves out.
    folders = [info.parent for info in base.glob(f"{version or '*.*.*'}/dataset_info.json")]
    return [folder for folder in folders if re.fullmatch(r"\d+\.\d+\.\d+", folder.name)]


def _check_format(name: str, prepared: Path) -> None:
    try:
        stored = json.loads((prepared / "dataset_info.json").read_text()).get("fileFormat")
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(prepared, "dataset_info.json") from error
    if stored != "array_record":
        raise InputError(
            "--data_dir", prepared, f"is prepared as {stored}, array_record is needed: prepare {name} in another folder"
        )


def _decode(
    name: str,
    prepared: Path,
    image_size: int | None,
    allocate: Allocate,
    classes: Sequence[str] | None,
    progress: bool,
) -> Decoded:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(prepared)
        columns = _columns(name, builder.info, image_size)
        source = builder.as_data_source(split="train", decoders={columns.image: tfds.decode.SkipDecoding()})
        count = len(source)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(prepared, _one_line(error)) from error
    choose_classes(columns.classes, classes)
    height, width, channels = columns.shape
    images, labels = allocate((count, *columns.shape)), np.empty(count, np.int32)

    def work(chunk: range) -> None:
        try:
            for i, record in zip(chunk, source.__getitems__(list(chunk)), strict=True):
                images[i] = decode.pixels(record[columns.image], channels, height, width)
                labels[i] = record[columns.label]
        except (decode.UnreadableImage, ValueError, RuntimeError) as error:
            raise _damaged(prepared, f"records {chunk[0]} to {chunk[-1]}: {_one_line(error)}") from error

    decode.in_threads(count, work, title=f"Decoding {name}", progress=progress)
    if not ((labels >= 0) & (labels < len(columns.classes))).all():
        raise InputError("--dataset", f"tfds:{name}", "must have a label on every example of its train split")
    return Decoded(images, labels, columns.classes, builder.info.splits["train[:80%]"].num_examples)


def _columns(name: str, info: Any, image_size: int | None) -> _Columns:
    """Which features are picture and label, and the shape to decode to."""
    from tensorflow_datasets.core import features

    def refused(what: str) -> InputError:
        return InputError("--dataset", f"tfds:{name}", f"must be a set for image classification: it has {what}")

    found: dict[str, str] = {}
    for column, kind in (("image", features.Image), ("label", features.ClassLabel)):
        fitting = [key for key, feature in info.features.items() if type(feature) is kind]
        supervised = [key for key in fitting if key in (info.supervised_keys or ())]
        if len(supervised or fitting) != 1:
            raise refused(f"{len(fitting)} {kind.__name__} features")
        found[column] = (supervised or fitting)[0]
    if "train" not in info.splits:
        raise refused("no train split")
    image, label = info.features[found["image"]], info.features[found["label"]]
    native_height, native_width, channels = image.shape
    if image.np_dtype != np.uint8 or channels not in (1, 3, 4, None):
        raise refused(f"pictures of {channels} channels of {np.dtype(image.np_dtype).name}")
    height, width = (image_size or native or ARTICLE_SIZE for native in (native_height, native_width))
    return _Columns(found["image"], found["label"], tuple(label.names), (height, width, channels or 3))


def _damaged(prepared: Path, what: str) -> InputError:
    return InputError("--data_dir", prepared, f"holds damaged data, delete it and prepare it again ({what})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
