"""A work directory: one process at a time, and the small files that say what was run and how it went."""

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.files import reason, write_text

PACKAGES = ("jaxopt-study", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pyarrow", "matplotlib")


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Makes the directory and holds it; the lock goes with the process, however it ends.

    Raises:
        InputError: it cannot be a directory that this user writes to, on a file system with locks.
        EnvironmentFault: another process holds it.
    """
    path = workdir / ".lock"
    # A file system without locks is refused: a mere marker file would outlive a process that is killed.
    lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=_sign)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        holder = path.read_text(encoding="utf-8").strip() or "unknown"
        raise EnvironmentFault(
            f"--workdir={workdir}: another process ({holder}) is at work there; wait for it or choose another"
        ) from error
    except OSError as error:
        allowed = f"allowed is a folder that can be written and locked ({reason(error)})"
        raise InputError("--workdir", workdir, allowed) from error
    try:
        yield
    finally:
        lock.release()


def _sign(lock_file: int) -> None:
    os.ftruncate(lock_file, 0)
    os.write(lock_file, f"process {os.getpid()}".encode())


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON; EnvironmentFault: the file cannot be read as JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"{path} cannot be read ({error})") from error


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def git_commit() -> str | None:
    """The commit of the checkout that this package is imported from; None for an installed one."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def check(workdir: Path) -> Path:
    """Refuses, before any work, a directory that cannot be written.

    Returns:
        The directory, with the home directory in place of ``~``.

    Raises:
        InputError: it is a file, or it or the nearest folder above it cannot be written, or it is no path at all.
    """
    try:
        found = workdir.expanduser()
        nearest = next(path for path in (found.absolute(), *found.absolute().parents) if path.exists())
    except (OSError, RuntimeError) as error:  # too long a name, no such user
        raise InputError("--workdir", workdir, f"allowed is a folder that can be written ({error})") from None
    if "\0" in str(found):
        raise InputError("--workdir", repr(str(workdir)), "allowed is a folder that can be written")
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError("--workdir", workdir, f"allowed is a folder that can be written ({nearest} cannot)")
    return found
