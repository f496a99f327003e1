"""A data set in the order in which it is trained on, ready for the device."""

from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy before it is put on a device, jax after


class Batches(NamedTuple):
    """T steps of B examples, R remaining ones, V validation batches of A.

    Attributes:
        train: images ``[T, B, H, W, K]`` (or examples of another rank) and labels ``[T, B]``, or ``[T, B, O]`` of a
            regression.
        rest: the last, smaller batch, ``[R, H, W, K]`` and ``[R]``; R may be 0.
        val: images ``[V, A, H, W, K]``, labels ``[V, A]``, float32 weights ``[V, A]`` (0 where the last is padded).
    """

    train: tuple[Array, Array]
    rest: tuple[Array, Array]
    val: tuple[Array, Array, Array]


def batches_of(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    val_images: np.ndarray,
    val_labels: np.ndarray,
    *,
    batch_size: int,
    val_batch_size: int,
    seed: int,
) -> Batches:
    """Lays a data set out in batches, the training part shuffled once from the seed.

    The order is the same in every epoch and for every run, so that it can be the order in memory.
    """
    order = np.random.default_rng(seed).permutation(len(train_images))
    steps = len(order) // batch_size
    full, rest = order[: steps * batch_size], order[steps * batch_size :]
    train = _stacked(train_images[full], steps, batch_size), _stacked(train_labels[full], steps, batch_size)

    size = min(val_batch_size, len(val_images))
    count = -(-len(val_images) // size)
    padding = count * size - len(val_images)
    weights = np.pad(np.ones(len(val_images), np.float32), (0, padding))
    images, labels = (
        np.pad(part, [(0, padding)] + [(0, 0)] * (part.ndim - 1), mode="edge") for part in (val_images, val_labels)
    )
    val = _stacked(images, count, size), _stacked(labels, count, size), _stacked(weights, count, size)
    return Batches(train, (train_images[rest], train_labels[rest]), val)


def _stacked(examples: np.ndarray, count: int, size: int) -> np.ndarray:
    return examples.reshape(count, size, *examples.shape[1:])
