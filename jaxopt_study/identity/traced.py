"""Functions that are traced: what JAX keeps of one, and what one keeps of it."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import jax

from jaxopt_study.errors import InputError


def _as_ever(code: tuple[str, ...]) -> AbstractContextManager[object]:
    del code
    return contextlib.nullcontext()


# Under jit, scan or checkpoint JAX finds what it traced by the function, whatever has become of the globals it reads.
traced_as: Callable[[tuple[str, ...]], AbstractContextManager[object]] = (
    jax.make_user_context(()) if hasattr(jax, "make_user_context") else _as_ever
)
"""``with traced_as(identities):`` what is traced within is found again under these alone; () is outside of any. Older
versions of JAX know no such thing: there a function that is itself under ``jax.jit`` must not read what changes."""

T = TypeVar("T")


def known_now(identified: Callable[[], T]) -> T | None:
    """What something is; None where it cannot be known any more, such as of what keeps a traced array."""
    try:
        return identified()
    except InputError:
        return None


_BECAME: dict[str, set[str | None]] = {}


def became(before: str | None, after: str | None) -> None:
    """Notes that what had an identity has another since it was traced: it filled what it remembers."""
    if before is not None and before != after:
        _BECAME.setdefault(before, set()).add(after)


def is_still(known: str | None, now: str | None) -> bool:
    """Whether what has an identity now is what had another, but for what it remembers of having been traced.

    None is what cannot be known any more.
    """
    reached, to_follow = {known}, [known]
    while to_follow:
        of = to_follow.pop()
        further = _BECAME.get(of, set()) - reached if of is not None else set()
        reached |= further
        to_follow += further
    return now is None or None in reached or now in reached
