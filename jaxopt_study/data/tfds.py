"""Image classification sets of TensorFlow Datasets, read without TensorFlow where they are prepared as array_record."""

import difflib
import functools
import importlib.util
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_study import files
from jaxopt_study.data import broken, pictures
from jaxopt_study.data.cache import Allocate, Decode, Decoded
from jaxopt_study.data.dataset import choose_classes
from jaxopt_study.errors import EnvironmentFault, InputError, one_line

_NAME = re.compile(r"(?P<name>[a-z]\w*)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?")


def open_tfds(
    name: str,
    image_size: int | None,
    data_dir: str | None,
    classes: Sequence[str] | None,
    *,
    leave_out_broken: bool,
    progress: bool,
) -> tuple[dict[str, object], Decode]:
    """All pictures of the split "train" in the stored order: their key in the cache, and what decodes them.

    The arguments are those of `load`, the name being NAME or NAME/CONFIG, either with :VERSION; the newest prepared
    version where none is given. All classes are decoded; unknown ones are refused before. As in the article, training
    has train[:80%].

    Raises:
        InputError: no such set, not one of image classification, or its files are damaged.
        EnvironmentFault: not prepared, and TensorFlow is not there to prepare it.
    """
    wanted = _NAME.fullmatch(name)
    if wanted is None:
        raise InputError("--dataset", f"tfds:{name}", "tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:1.2.3")
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = files.path_of("--data_dir", given)
    try:
        prepared = _find(wanted, root)
        if prepared is None:
            _prepare(name, root, progress=progress)
            prepared = _find(wanted, root)
            assert prepared is not None, f"TFDS prepared {name}, but not below {root}"
        key = pictures.cache_key("tfds", prepared, sorted(prepared.iterdir()), image_size)
    except OSError as error:
        raise InputError("--data_dir", root, f"must be a readable folder ({error.strerror})") from error
    decode = functools.partial(_decode, name, prepared, image_size, classes, leave_out_broken=leave_out_broken)
    return key, functools.partial(decode, progress=progress)


def _find(wanted: re.Match[str], root: Path) -> Path | None:
    """The folder of the newest prepared version that fits, found by its files alone (importing TFDS takes a while)."""
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(None, "it is a file")
    base = root / wanted["name"] / (wanted["config"] or "")
    for depth in ("", "*/") if wanted["config"] is None else ("",):  # NAME/VERSION, or NAME/CONFIG/VERSION
        infos = base.glob(f"{depth}{wanted['version'] or '*'}/dataset_info.json")
        # TFDS prepares in VERSION.incompleteXYZ, which the pattern leaves out.
        versions = [info.parent for info in infos if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)]
        configs = sorted({str(version.parent.relative_to(root)) for version in versions})
        if len(configs) > 1:
            one_of = f"must name one of the prepared configs: {', '.join(configs)}"
            raise InputError("--dataset", f"tfds:{wanted[0]}", one_of)
        if versions:
            return max(versions, key=lambda version: [int(part) for part in version.name.split(".")])
    return None


def _prepare(name: str, root: Path, *, progress: bool) -> None:
    """Downloads a set and writes it as array_record; that takes TensorFlow, reading it from then on does not.

    InputError: TFDS knows no such set; close matches are named. EnvironmentFault: no TensorFlow, or download or disk
    failed.
    """
    import tensorflow_datasets as tfds  # slow to import

    base = name.partition("/")[0].partition(":")[0]
    # Without community sets, of which TFDS would fetch a list over the network.
    known = tfds.list_builders(with_community_datasets=False)
    if base not in known:
        close = difflib.get_close_matches(base, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see tensorflow.org/datasets for the names"
        raise InputError("--dataset", f"tfds:{name}", f"no such set in TFDS and none prepared in {root}; {hint}")
    if importlib.util.find_spec("tensorflow") is None:
        raise EnvironmentFault(
            f"tfds:{name} is not prepared in {root} and preparing it takes TensorFlow: "
            'run  pip install "jaxopt-study[prepare]"  and then this same command again'
        )
    if not progress:
        tfds.disable_progress_bar()
    try:
        # What TFDS keeps prepared in its bucket is not array_record; asking costs a connection.
        from_source = tfds.download.DownloadConfig(try_download_gcs=False)
        builder = tfds.builder(name, data_dir=root)
        builder.download_and_prepare(download_config=from_source, file_format="array_record")
    except Exception as error:  # anything from a refused connection to a full disk or a missing extra package
        reason = one_line(error, most=300)
        raise EnvironmentFault(f"tfds:{name} could not be prepared in {root}: {reason}") from error


def _decode(
    name: str,
    prepared: Path,
    image_size: int | None,
    classes: Sequence[str] | None,
    allocate: Allocate,
    *,
    leave_out_broken: bool,
    progress: bool,
) -> Decoded:
    import tensorflow_datasets as tfds  # slow to import, and not needed where the cache has the pictures

    try:
        stored = json.loads((prepared / "dataset_info.json").read_text()).get("fileFormat")
        if stored != "array_record":
            needed = f"is prepared as {stored}, array_record is needed: prepare {name} in another folder"
            raise InputError("--data_dir", prepared, needed)
        builder = tfds.builder_from_directory(prepared)
        image, label, shape = _columns(name, builder.info, image_size)
        names = tuple(builder.info.features[label].names)
        records = builder.as_data_source(split="train", decoders={image: tfds.decode.SkipDecoding()})
        count = len(records)
    except InputError:
        raise
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(prepared, one_line(error)) from error
    choose_classes(names, classes)
    images, labels = allocate((count, *shape)), np.zeros(count, np.int32)

    def read(numbers: range) -> None:
        for i, record in zip(numbers, records.__getitems__(list(numbers)), strict=True):
            images[i] = pictures.decode(record[image], *shape)
            labels[i] = record[label]

    unreadable = _unreadable(read, count, title=f"Decoding {name}", progress=progress)
    train_count = builder.info.splits["train[:80%]"].num_examples
    left_out: tuple[str, ...] = ()
    if unreadable:
        told = broken.told(unreadable, count, broken.ranges(unreadable))
        if not leave_out_broken or len(unreadable) == count:
            raise _damaged(prepared, told)
        images, kept = broken.others(images, unreadable, allocate)
        labels, train_count = labels[kept], int((kept < train_count).sum())
        left_out = tuple(f"record {i}" for i in sorted(unreadable))
    if not ((labels >= 0) & (labels < len(names))).all():
        raise InputError("--dataset", f"tfds:{name}", "must have a label on every example of its train split")
    return Decoded(images, labels, names, train_count, left_out)


def _unreadable(read: Callable[[range], None], count: int, *, title: str, progress: bool) -> dict[int, str]:
    """Reads all records, as many at a time as can be; those that cannot be read, and why."""
    reasons: dict[int, str] = {}

    def work(chunk: range) -> None:
        try:
            read(chunk)
        except Exception as error:  # readers of records and of pictures fail in many types
            if len(chunk) == 1:
                reasons[chunk[0]] = one_line(error)
            else:
                for i in chunk:
                    work(range(i, i + 1))

    pictures.in_threads(count, work, title=title, progress=progress)
    return reasons


def _columns(name: str, info: Any, image_size: int | None) -> tuple[str, str, tuple[int, int, int]]:
    """Which features are picture and label, and height, width and channels to decode to."""
    from tensorflow_datasets.core import features  # slow to import

    def refused(what: str) -> InputError:
        return InputError("--dataset", f"tfds:{name}", f"must be a set for image classification: it has {what}")

    def only(kind: type) -> str:
        fitting: list[str] = [key for key, feature in info.features.items() if type(feature) is kind]
        fitting = [key for key in fitting if key in (info.supervised_keys or ())] or fitting
        if len(fitting) != 1:
            raise refused(f"{len(fitting)} {kind.__name__} features")
        return fitting[0]

    image, label = only(features.Image), only(features.ClassLabel)
    if "train" not in info.splits:
        raise refused("no train split")
    height, width, channels = info.features[image].shape
    dtype = np.dtype(info.features[image].np_dtype)
    if dtype != np.uint8 or channels not in (1, 3, 4, None):
        raise refused(f"pictures of {channels} channels of {dtype.name}")
    height, width = (image_size or native or pictures.DEFAULT_SIZE for native in (height, width))
    return image, label, (height, width, channels or 3)


def _damaged(prepared: Path, what: str) -> InputError:
    return InputError("--data_dir", prepared, f"holds damaged data, delete it and prepare it again ({what})")
