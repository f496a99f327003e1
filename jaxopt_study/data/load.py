"""The one function behind which all data lies, and the digits, which are always there."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxopt_study import files
from jaxopt_study.data.broken import listed
from jaxopt_study.data.cache import Decoded, through_cache
from jaxopt_study.data.dataset import Dataset, Source, assemble, digest_of, stratified_split
from jaxopt_study.errors import InputError
from jaxopt_study.settings import check_whole

PARITY = ("even", "odd")
_LARGEST = {"digits": 256}
_LARGEST_OF_PICTURES = 4096
_BRIGHTEST = 16  # the scans of the digits count the set pixels of 4 x 4 blocks


def load(
    name: str,
    *,
    image_size: int | None = None,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    classes: Sequence[str] | None = None,
    train_examples: int | None = None,
    val_examples: int | None = None,
    split_seed: int = 0,
    leave_out_broken: bool = False,
    progress: bool = True,
) -> Dataset:
    """Loads a data set as uint8 arrays, split 80/20.

    Args:
        name: "digits" (scikit-learn's, 8 x 8, embedded), "tfds:NAME" (a set of TFDS) or "folder:PATH" (pictures
            of any kind that Pillow reads, in ``PATH/CLASS`` and its subfolders).
        image_size: height and width in pixels, up to 4096 (256 for digits); resized bilinearly without keeping the
            aspect ratio. None: 8 for digits, the set's own size for a TFDS set that has one, else 128.
        data_dir: where prepared TFDS sets lie; None is TFDS's own folder. Other sources do not use it.
        cache_dir: where decoded images are kept; None is the user's cache folder. The digits are not cached.
        classes: names of the classes to keep, in the order of their labels; None or ("all",) keeps all, but None means
            ("even", "odd") for digits.
        train_examples: keeps only the first so many of the training part, which is in stored order for TFDS (shuffled
            when the set was prepared) and in seeded random order for folders and digits.
        val_examples: the same for the validation part.
        split_seed: of the stratified split of folders and digits. TFDS sets are always split train[:80%], train[80%:].
        leave_out_broken: whether to go on without pictures that cannot be read, with a warning, instead of refusing the
            set; ``left_out`` of what is returned has their names, which are part of its fingerprint.
        progress: whether to show a bar on stderr while decoding.

    Returns:
        Images [N, H, W, K] and labels [N] of both parts. Image arrays may be read-only memory maps.

    Raises:
        InputError: an argument cannot be used; one line names the flag, the value and what is allowed.
        EnvironmentFault: the machine cannot do it, such as preparing a TFDS set without TensorFlow.
    """
    if image_size is not None:
        check_whole("--image_size", image_size, 1, _LARGEST.get(name, _LARGEST_OF_PICTURES))
    kind, _, rest = name.partition(":")
    if name == "digits":
        source = _read_digits(image_size, classes, split_seed)
    elif kind in ("tfds", "folder") and rest:
        from jaxopt_study.data import folder, tfds  # with Pillow slow to import, and the digits do without

        if kind == "tfds":
            key, decode = tfds.open_tfds(
                rest, image_size, data_dir, classes, leave_out_broken=leave_out_broken, progress=progress
            )
        else:
            path = files.path_of("--dataset", rest)
            key, decode = folder.open_folder(
                path, image_size, classes, leave_out_broken=leave_out_broken, progress=progress
            )
        if leave_out_broken:
            key = {**key, "leave_out_broken": True}
        cache = files.path_of("--cache_dir", cache_dir) if cache_dir else files.cache_folder() / "data"
        decoded, digest = through_cache(cache, key, decode)
        if left_out := decoded.left_out:
            counts = f"{len(left_out)} of {len(left_out) + len(decoded.labels)} pictures"
            warnings.warn(f"{name}: {counts} cannot be read and are left out: {listed(left_out)}", stacklevel=2)
        source = _split(decoded, digest, split_seed)
    else:
        perhaps = f"folder:{name}" if Path(name).is_dir() else f"tfds:{name}" if name.isidentifier() else ""
        hint = f"did you mean {perhaps}? " if perhaps else ""
        raise InputError("--dataset", name, f"{hint}allowed are digits, tfds:NAME, folder:PATH")
    loaded = assemble(name, source, classes=classes, train_examples=train_examples, val_examples=val_examples)
    asked = {
        "image_size": image_size, "data_dir": data_dir, "classes": classes and list(classes),
        "train_examples": train_examples, "val_examples": val_examples, "leave_out_broken": leave_out_broken or None,
    }  # fmt: skip
    return loaded._replace(asked=tuple((name, value) for name, value in asked.items() if value is not None))


def _split(decoded: Decoded, digest: str, seed: int) -> Source:
    if len(decoded.labels) and not decoded.train_count:
        train, val = stratified_split(decoded.labels, seed)
    else:
        train, val = np.split(np.arange(len(decoded.labels)), [decoded.train_count])
    return Source(decoded.images, decoded.labels, decoded.classes, train, val, digest, decoded.left_out)


def _read_digits(image_size: int | None, classes: Sequence[str] | None, split_seed: int) -> Source:
    """scikit-learn's handwritten digits, 1,797 real scans of 8 x 8, as even against odd or as ten classes.

    The split is stratified over the ten digits for either task, so a digit is in the same part in both. digits.txt says
    whose the scans are.
    """
    table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), delimiter=",", dtype=np.int32)
    scans, digits = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1]
    images = np.rint(scans * (255 / _BRIGHTEST)).astype(np.uint8)
    if image_size is not None:
        from jaxopt_study.data.pictures import resize  # the same

        images = np.stack([resize(image, image_size, image_size) for image in images])
    train, val = stratified_split(digits, split_seed)
    if classes is None or set(classes) <= set(PARITY):
        return Source(images, digits % 2, PARITY, train, val, digest_of(images))
    return Source(images, digits, tuple("0123456789"), train, val, digest_of(images))
