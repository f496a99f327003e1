"""scikit-learn's handwritten digits: 1,797 real scans of 8 x 8; digits.txt says whose they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxopt_study.data.dataset import Images, Labels, Source, digest_of
from jaxopt_study.data.resize import resize
from jaxopt_study.data.split import stratified_split

PARITY = ("even", "odd")
DIGITS = tuple("0123456789")
_TABLE = Path(__file__).with_name("digits.csv.gz")
_BRIGHTEST = 16  # the scans count the set pixels of 4 x 4 blocks


def read_digits(*, image_size: int | None, classes: Sequence[str] | None, split_seed: int) -> Source:
    """The digits [1797, S, S, 1], as even against odd or as ten classes.

    The split is stratified over the ten digits for either task, so a digit is in the same part in both.

    Args:
      image_size: S; None leaves the scans at 8 x 8.
      classes: None or ("even", "odd") in either order for parity, else names of digits or ("all",).
      split_seed: Of the 80/20 split.
    """
    scans, digits = _read_table()
    train, val = stratified_split(digits, split_seed)
    if image_size is not None:
        scans = np.stack([resize(scan, image_size, image_size) for scan in scans])
    by_parity = classes is None or set(classes) <= set(PARITY)
    return Source(
        images=scans,
        labels=digits % 2 if by_parity else digits,
        classes=PARITY if by_parity else DIGITS,
        train=train,
        val=val,
        digest=digest_of(scans),
    )


def _read_table() -> tuple[Images, Labels]:
    table = np.loadtxt(_TABLE, delimiter=",", dtype=np.int32)
    pixels = np.rint(table[:, :-1] * (255 / _BRIGHTEST)).astype(np.uint8)
    return pixels.reshape(-1, 8, 8, 1), table[:, -1]
