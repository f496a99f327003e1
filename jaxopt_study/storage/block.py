"""One block of bytes as a part of an Orbax checkpoint, written by whichever process saves it.

Orbax's own handler writes NumPy arrays in the first of several processes alone, whatever its options say.
"""

import dataclasses
from typing import Any

import numpy as np
from orbax import checkpoint as ocp

FILE = "packed.npy"


class BlockHandler(ocp.CheckpointHandler):  # type: ignore[misc]  # Orbax has no types
    """Writes ``{"packed": uint8 [N]}`` at once, not in the background, and reads it."""

    def save(self, directory: Any, args: "BlockSave") -> None:
        """Writes it to a folder that is there."""
        np.save(directory / FILE, args.item["packed"])

    def restore(self, directory: Any, args: "BlockRestore") -> Any:
        """Reads it back."""
        if not (directory / FILE).exists():  # the first process's, of an earlier version
            return ocp.StandardCheckpointHandler().restore(directory, args=ocp.args.StandardRestore(args.item))
        return {"packed": np.load(directory / FILE)}


@ocp.args.register_with_handler(BlockHandler, for_save=True)
@dataclasses.dataclass
class BlockSave(ocp.args.CheckpointArgs):  # type: ignore[misc]
    """What is to be written."""

    item: dict[str, np.ndarray]


@ocp.args.register_with_handler(BlockHandler, for_restore=True)
@dataclasses.dataclass
class BlockRestore(ocp.args.CheckpointArgs):  # type: ignore[misc]
    """What is to be read, of the same size."""

    item: dict[str, np.ndarray]
