"""JAX's cache of compiled programs on disk, with a digest: what is not as it was written is compiled again.

JAX checks what it reads no further than its compression does, keeps a damaged entry for ever, and writes entries that a
killed process leaves cut short.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

_place: Any = None  # where JAX makes its caches, for which it has no public name
with contextlib.suppress(ImportError):
    from jax._src import compilation_cache

    _place = compilation_cache

_DIGEST_BYTES = 32


class CheckedCache:
    """A cache of JAX's in a folder, each entry behind its SHA-256."""

    def __init__(self, cache: Any, folder: Path) -> None:
        self._cache, self._folder = cache, folder

    def get(self, key: str) -> bytes | None:
        """What was put there; None, and the entry is gone, if that is not what lies there."""
        found: bytes | None = self._cache.get(key)
        if found is None or hashlib.sha256(found[_DIGEST_BYTES:]).digest() == found[:_DIGEST_BYTES]:
            return found and found[_DIGEST_BYTES:]
        with contextlib.suppress(OSError):
            (self._folder / f"{key}-cache").unlink()
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keeps an entry; one that is there stays."""
        self._cache.put(key, hashlib.sha256(value).digest() + value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)


def check(folder: Path) -> None:
    """From now on JAX's cache in this folder is a checked one; others are JAX's own.

    Where a version of JAX makes its caches in another way (those from 0.6 to 0.12 do not) all are left as they are.
    """
    made_by: Any = getattr(_place, "LRUCache", None)
    plain = getattr(made_by, "plain", made_by)  # ours has JAX's own
    if plain is None:
        return

    def cache_of(path: str, **options: Any) -> Any:
        cache = plain(path, **options)
        return CheckedCache(cache, folder) if Path(path) == folder else cache

    _place.LRUCache = cache_of
    _place.LRUCache.plain = plain
