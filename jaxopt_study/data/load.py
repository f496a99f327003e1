"""The one function behind which all data lies."""

from collections.abc import Sequence
from pathlib import Path

from jaxopt_study import files
from jaxopt_study.data.dataset import Dataset, Source, assemble
from jaxopt_study.data.digits import read_digits
from jaxopt_study.errors import InputError


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
    progress: bool = True,
) -> Dataset:
    """Loads a data set as uint8 arrays, split 80/20.

    Args:
      name: "digits" (scikit-learn's, 8 x 8, embedded), "tfds:NAME" (a set of TFDS) or "folder:PATH" (pictures
        ``PATH/CLASS/*.jpg``, ``*.jpeg``, ``*.png``).
      image_size: Height and width in pixels; resized bilinearly without keeping the aspect ratio. None: 8 for digits,
        the set's own size for a TFDS set that has one, else 128.
      data_dir: Where prepared TFDS sets lie; None is TFDS's own folder. Other sources do not use it.
      cache_dir: Where decoded images are kept; None is the user's cache folder. The digits are not cached.
      classes: Names of the classes to keep, in the order of their labels; None or ("all",) keeps all, but None means
        ("even", "odd") for digits.
      train_examples: Keeps only the first so many of the training part, which is in stored order for TFDS (shuffled
        when the set was prepared) and in seeded random order for folders and digits.
      val_examples: The same for the validation part.
      split_seed: Of the stratified split of folders and digits. TFDS sets are always split train[:80%], train[80%:].
      progress: Whether to show a bar on stderr while decoding.

    Returns:
      Images [N, H, W, K] and labels [N] of both parts. Image arrays may be read-only memory maps.

    Raises:
      InputError: an argument cannot be used; one line names the flag, the value and what is allowed.
      EnvironmentFault: the machine cannot do it, such as preparing a TFDS set without TensorFlow.
    """
    if image_size is not None and image_size < 1:
        raise InputError("--image_size", image_size, "a whole number of pixels, at least 1")
    source = _read(name, image_size, data_dir, cache_dir, classes, split_seed, progress)
    return assemble(name, source, classes=classes, train_examples=train_examples, val_examples=val_examples)


def _read(
    name: str,
    image_size: int | None,
    data_dir: str | None,
    cache_dir: str | None,
    classes: Sequence[str] | None,
    split_seed: int,
    progress: bool,
) -> Source:
    kind, _, rest = name.partition(":")
    cache = Path(cache_dir).expanduser() if cache_dir else files.cache_folder() / "data"
    if name == "digits":
        return read_digits(image_size=image_size, classes=classes, split_seed=split_seed)
    if kind == "tfds" and rest:
        from jaxopt_study.data.tfds import read_tfds  # Pillow is not needed for the digits

        prepared = Path(data_dir).expanduser() if data_dir else None
        return read_tfds(
            rest, image_size=image_size, data_dir=prepared, cache_dir=cache, classes=classes, progress=progress
        )
    if kind == "folder" and rest:
        from jaxopt_study.data.folder import DEFAULT_SIZE, read_folder

        return read_folder(
            Path(rest).expanduser(),
            image_size=image_size or DEFAULT_SIZE,
            cache_dir=cache,
            classes=classes,
            split_seed=split_seed,
            progress=progress,
        )
    raise InputError("--dataset", name, "one of digits, tfds:NAME, folder:PATH")
