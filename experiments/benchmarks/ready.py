"""What a program hands over once it is built."""

from collections.abc import Callable
from typing import NamedTuple


class Ready(NamedTuple):
    """A program with its data and weights on the device.

    Attributes:
        run: ``(passes)``: trains so many times over the case's data and returns when all is computed.
        weights: trainable numbers of one configuration.
        memory_bytes: of a configuration while it runs, data apart; 0 if unknown.
        operations: multiplications and additions of a pass, for what is not training; else 0.
        choosing_seconds: that went, once a machine, into finding the fastest way; not part of the start.
    """

    run: Callable[[int], None]
    weights: int = 0
    memory_bytes: int = 0
    operations: float = 0.0
    choosing_seconds: float = 0.0
