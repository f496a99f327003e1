"""JAX's cache of compiled programs on disk, with a digest: what is not as it was written is compiled again.

JAX checks what it reads no further than its compression does, keeps a damaged entry for ever, and writes entries that a
killed process leaves cut short.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from jax._src import compilation_cache, lru_cache

_DIGEST_BYTES = 32
_jax: Any = compilation_cache  # which has no types
_plain: Any = lru_cache.LRUCache


class CheckedCache(_plain):  # type: ignore[misc]  # which has no types either
    """JAX's own cache of a folder, each entry behind its SHA-256."""

    def get(self, key: str) -> bytes | None:
        """What was put there; None, and the entry is gone, if that is not what lies there."""
        found: bytes | None = super().get(key)
        if found is None or hashlib.sha256(found[_DIGEST_BYTES:]).digest() == found[:_DIGEST_BYTES]:
            return found and found[_DIGEST_BYTES:]
        with contextlib.suppress(OSError):
            (Path(self.path) / f"{key}-cache").unlink()
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keeps an entry; one that is there stays."""
        super().put(key, hashlib.sha256(value).digest() + value)


def check(folder: Path) -> None:
    """From now on JAX's cache in this folder is a checked one; others are JAX's own."""

    def cache_of(path: str, **options: Any) -> Any:
        return (CheckedCache if Path(path) == folder else _plain)(path, **options)

    _jax.LRUCache = cache_of
