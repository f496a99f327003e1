"""What JAX keeps of a function that it has traced: by what the function is, not by the object alone."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import jax


def _as_ever(code: tuple[str, ...]) -> AbstractContextManager[object]:
    del code
    return contextlib.nullcontext()


# Under jit, scan or checkpoint JAX finds what it traced by the function, whatever has become of the globals it reads.
traced_as: Callable[[tuple[str, ...]], AbstractContextManager[object]] = (
    jax.make_user_context(()) if hasattr(jax, "make_user_context") else _as_ever
)
"""``with traced_as(identities):`` what is traced within is found again under these alone; () is outside of any. Older
versions of JAX know no such thing: there a function that is itself under ``jax.jit`` must not read what changes."""
