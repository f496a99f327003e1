"""A work directory: one process at a time, and the small files that say what was run and how it went."""

import contextlib
import errno
import hashlib
import json
import os
import platform
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from jaxopt_study.errors import Damaged, EnvironmentFault, InputError, one_line
from jaxopt_study.files import reason, set_aside, sweep, write_text

PACKAGES = ("jaxopt-study", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pyarrow", "matplotlib")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def locked(workdir: Path, flag: str = "--workdir") -> Iterator[None]:
    """Makes the directory and holds it; the lock goes with the process, however it ends.

    What killed processes left half-written there is removed.

    Raises:
        InputError: it cannot be a directory that this user writes to.
        EnvironmentFault: another process holds it.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = _acquired(workdir / ".lock")
    except Timeout as error:
        holder = " ".join(Path(error.lock_file).read_text(encoding="utf-8").split()[:2]) or "unknown"
        raise EnvironmentFault(
            f"{flag}={workdir}: another process ({holder}) is at work there; wait for it or choose another"
        ) from error
    except OSError as error:
        allowed = f"allowed is a folder that can be written and locked ({reason(error)})"
        raise InputError(flag, workdir, allowed) from error
    try:
        for folder in (workdir, *(path for path in workdir.iterdir() if path.is_dir())):
            sweep(folder)
        for left in workdir.glob("runs/.*.parquet"):  # of earlier versions, which had no folder for it
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _acquired(path: Path) -> BaseFileLock:
    lock: BaseFileLock
    why = "Python has no locks here"
    if not issubclass(FileLock, SoftFileLock):
        lock = FileLock(path, blocking=False, fallback_to_soft=False, on_acquired=_sign)
        try:
            lock.acquire()
            return lock
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            why = f"its file system has no locks ({reason(error)})"
    # A file that names its process: one that is dead is known where it ran, nowhere else.
    lock = SoftFileLock(path.with_name(".holder"), timeout=0.5)
    lock.acquire(poll_interval=0.1)  # older versions remove what a dead one left, and take it the next time
    told = f"--workdir={path.parent}: {why}; of a process that dies on another machine, remove {lock.lock_file}"
    warnings.warn(told, stacklevel=3)
    return lock


def _sign(lock_file: int) -> None:
    os.ftruncate(lock_file, 0)
    os.write(lock_file, f"process {os.getpid()}".encode())


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, a table with a digest of its content."""
    value = json.loads(json.dumps(value, allow_nan=False, default=str))
    if isinstance(value, dict):
        value["digest"] = _digest(value)
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON; the digest of a table, which files of earlier versions do not have, is checked and left out.

    Raises:
        EnvironmentFault: the file cannot be read.
        Damaged: it is not JSON, or not what was written.
    """
    value, as_written = _parsed(path)
    if not as_written:
        raise Damaged(path, "its content is not what was written", _REBUILT)
    return value


def _parsed(path: Path) -> tuple[Any, bool]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read ({reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise Damaged(path, one_line(error), _REBUILT) from error
    digest = value.pop("digest", None) if isinstance(value, dict) else None
    return value, digest is None or digest == _digest(value)


def read_config(path: Path) -> dict[str, Any]:
    """config.json to be shown, empty if there is none; with the errors of :func:`read_json`.

    One that was changed since it was written is used with a warning, and says so as ``edited``: people may do so by
    hand, and runs are known by their fingerprints whatever it says of them.
    """
    return _read_table(path, lambda config: {name: _CONFIG[name] for name in config if name in _CONFIG})


def read_stats(path: Path) -> dict[str, Any]:
    """stats.json, as :func:`read_config`."""

    def kinds(stats: dict[str, Any]) -> Mapping[str, Any]:
        costs = {"costs": _are_costs} if "costs" in stats else {}
        return {**dict.fromkeys(stats, _is_number), **_STATS, **costs} if stats else {}

    return _read_table(path, kinds)


def written_config(path: Path) -> dict[str, Any]:
    """config.json to be written again, which it is only from what was written; Damaged: it was changed since."""
    return _as_written(path, read_config)


def written_stats(path: Path) -> dict[str, Any]:
    """stats.json, as :func:`written_config`."""
    return _as_written(path, read_stats)


def _as_written(path: Path, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    if path.exists():
        read_json(path)
    return read(path)


def usable(read: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    """What ``read`` finds there; if that is damaged it is set aside with a warning, and nothing is found."""
    try:
        return read(path)
    except Damaged as error:
        with contextlib.suppress(EnvironmentFault):  # of a directory that is only read
            set_aside(path, path.parent)
        warnings.warn(f"{path} is damaged ({error.why}); it is left out, and made anew", stacklevel=3)
        return {}


def _read_table(path: Path, kinds_of: Callable[[dict[str, Any]], Mapping[str, Any]]) -> dict[str, Any]:
    value, as_written = _parsed(path) if path.exists() else ({}, True)
    if not isinstance(value, dict):
        raise Damaged(path, "it is no table", _REBUILT)
    for name, kind in kinds_of(value).items():
        if not _fits(value.get(name), kind):
            raise Damaged(path, f"it has no {name} as a study writes it", _REBUILT)
    if not as_written:
        warnings.warn(
            f"{path} was changed since it was written (its digest is another); it is used as it is", stacklevel=3
        )
        value["edited"] = True
    return value


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a kind: a type, a test, a list of one kind, or a table with at least such names."""
    match kind:
        case dict():
            return isinstance(value, dict) and all(_fits(value.get(name), of) for name, of in kind.items())
        case [of]:
            return isinstance(value, list) and all(_fits(each, of) for each in value)
        case type():
            return type(value) is kind
        case _:
            return bool(kind(value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _are_costs(value: Any) -> bool:
    return isinstance(value, dict) and all(_has_numbers(cost) and "seconds_over_sgd" in cost for cost in value.values())


def _has_numbers(value: Any) -> bool:
    """Whether all of a table is numbers, but for the names of a rule and of a device."""
    numbers = isinstance(value, dict) and [value[name] for name in value if name not in ("optimizer", "device_kind")]
    return isinstance(numbers, list) and all(map(_is_number, numbers))


def _is_drawn(value: Any) -> bool:
    """Whether experiments have values of axes, or none."""
    axes = [axes for axes in value.values() if axes is not None] if isinstance(value, dict) else [value]
    return all(isinstance(of, dict) and all(_fits(each, [_is_number]) for each in of.values()) for of in axes)


def _of_tables(value: Any, depth: int, kind: Any) -> bool:
    """Whether it is a table of tables, so deep, of what is of a kind."""
    if not depth:
        return _fits(value, kind)
    return isinstance(value, dict) and all(_of_tables(each, depth - 1, kind) for each in value.values())


_REBUILT = "the command of its study makes it anew"
_CONFIG: Mapping[str, Any] = {
    "identity": {"data": str, "model": str, "outputs": int, "batch_size": int, "max_epochs": int},
    "dataset": {
        "name": str, "classes": [str], "image_shape": [int], "train_examples": int, "val_examples": int,
        "left_out": lambda names: names is None or _fits(names, [str]),
    },
    "grid": [lambda run: _has_numbers(run) and _fits(run, {"optimizer": str, "seed": int})],
    "devices": [str],
    "versions": {},
    "models": [str],
    "monitor": str,
    "mode": str,
    "metric_modes": lambda modes: isinstance(modes, dict) and _fits([*modes.values()], [str]),
    "own": bool,
    "loss": str,
    "guessing": _is_number,
    "experiments": _is_drawn,
    "own_rules": lambda studies: _of_tables(studies, 3, [str]),
}  # fmt: skip
_PART = ("seconds", "compile_seconds", "training_seconds", "examples", "epochs_trained", "epochs_computed", "runs")
_STATS: Mapping[str, Any] = {
    **dict.fromkeys(("seconds", "compile_seconds", "examples_per_second", "goodput"), _is_number),
    "parts": [lambda part: _has_numbers(part) and _fits(part, dict.fromkeys(_PART, _is_number))],
}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


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


def check(workdir: Path, flag: str = "--workdir") -> Path:
    """Refuses, before any work, a directory that cannot be written.

    Returns:
        The directory, with the home directory in place of ``~``.

    Raises:
        InputError: it is a file, or it or the nearest folder above it cannot be written, or it is no path at all.
    """
    try:
        found = workdir.expanduser()
        str(found).encode()  # as Parquet and the report write it
        nearest = next(path for path in (found.absolute(), *found.absolute().parents) if path.exists())
    except (OSError, RuntimeError, UnicodeEncodeError) as error:  # too long a name, no such user, not UTF-8
        raise InputError(flag, workdir, f"allowed is a folder that can be written ({error})") from None
    if "\0" in str(found):
        raise InputError(flag, repr(str(workdir)), "allowed is a folder that can be written")
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(flag, workdir, f"allowed is a folder that can be written ({nearest} cannot)")
    return found
