"""The seeded split for sources that bring none of their own."""

import numpy as np

from jaxopt_study.data.dataset import Indices, Labels

TRAIN_SHARE = 0.8  # the article's train[:80%]


def stratified_split(labels: Labels, seed: int) -> tuple[Indices, Indices]:
    """Splits every class 80/20, then shuffles both parts.

    A class of n >= 2 examples gives round(n / 5), at least one, to validation. The training part comes shuffled, so
    that its first so many are a random sample of it.

    Args:
      labels: [N]; every class that occurs, occurs at least twice.
      seed: Of the split; the same seed gives the same split.

    Returns:
      Indices of the training [A] and of the validation part [B], A + B = N.
    """
    rng = np.random.default_rng(seed)
    train, val = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        assert len(members) >= 2
        held_out = max(1, round(len(members) * (1 - TRAIN_SHARE)))
        val.append(members[:held_out])
        train.append(members[held_out:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(val))
