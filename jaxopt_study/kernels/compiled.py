"""Compiles a library of kernels on this machine, for this machine, and keeps it on disk.

A library runs as the user. One from the cache is loaded if it is the user's own, nobody else can write it, and its name
has the digest of its content; another is built again. A new one is tried in a process of its own before it is kept.
"""

import contextlib
import ctypes
import hashlib
import math
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jaxopt_study import files
from jaxopt_study.errors import EnvironmentFault

_HANGS_FOR_S = 3600.0  # how long a compiler that hung is not asked again


class Recipe(NamedTuple):
    """How a library is made.

    Attributes:
        key: 20 hex digits for all that it depends on, see `key_of`.
        compiler: the program, for messages.
        commands: of which the first that succeeds compiles it; without ``-o FILE``.
        symbols: functions that it must have.
        lanes: which of them says how many lanes there are, 0 if something is wrong.
        timeout_s: seconds that a command may take.
    """

    key: str
    compiler: str
    commands: Sequence[list[str]]
    symbols: tuple[str, ...]
    lanes: str
    timeout_s: float


def load(recipe: Recipe) -> ctypes.CDLL:
    """The library, from the cache or compiled now.

    Raises:
        OSError: the compiler cannot be run, hangs, or makes what cannot be loaded.
        subprocess.CalledProcessError: it fails.
    """
    with tempfile.TemporaryDirectory(prefix="jaxopt_study-native-") as scratch:
        return cached(recipe.key) or built(recipe, Path(scratch))  # stays loaded when its file goes


def named(variable: str) -> list[str] | None:
    """The compiler's command in an environment variable; None if it is not set. FileNotFoundError: it cannot be run."""
    value = os.environ.get(variable)
    if value is None:
        return None
    words = shlex.split(value)
    if not words:
        raise FileNotFoundError(f"{variable} is empty")
    if shutil.which(words[0]) is None:
        raise FileNotFoundError(f"{variable} names {words[0]!r}, which cannot be run")
    return words


def version(sources: Iterable[Path]) -> str:
    """12 hex digits for the content of sources."""
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def key_of(compiler: Sequence[str], *about: Any) -> str:
    """20 hex digits for a compiler, XLA's headers and what else a library depends on."""
    path = os.path.realpath(shutil.which(compiler[0]) or compiler[0])
    program = os.stat(path)
    asked = (list(compiler), path, program.st_size, program.st_mtime_ns)
    return hashlib.sha256(repr((asked, metadata.version("jaxlib"), *about)).encode()).hexdigest()[:20]


def reason(error: Exception) -> str:
    """What is wrong in a line: the last that a compiler wrote, if it wrote any."""
    said = (getattr(error, "stderr", None) or str(error)).strip() or repr(error)
    return str(said.splitlines()[-1])


def folder() -> Path:
    """Where libraries are kept."""
    return files.cache_folder() / "native"


def cached(key: str) -> ctypes.CDLL | None:
    """The library of an earlier process; what cannot be trusted or loaded is removed."""
    if not _folder_is_ours():
        return None
    for path in folder().glob(f"{key}-*.so"):
        with contextlib.suppress(OSError, ValueError):  # the linker's words about a damaged file may not be text
            if _is_ours(path) and path.name == _named(key, path.read_bytes()):
                return ctypes.CDLL(str(path))
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _folder_is_ours() -> bool:
    return _is_ours(folder().parent, others=0) and _is_ours(folder())


def _is_ours(path: Path, others: int = 0o022) -> bool:
    """Whether the user owns a file or folder, no link, to which others have none of these permissions."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & others


def _named(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:20]}.so"


def built(recipe: Recipe, scratch: Path) -> ctypes.CDLL:
    """The library compiled now, from the cache folder or, where it cannot be kept there, from scratch."""
    made = scratch / "made.so"
    hung = folder() / f"{recipe.key}.hung"
    slow = f"{recipe.compiler} did not end within {recipe.timeout_s:.0f} s"
    if _age(hung) < _HANGS_FOR_S:
        raise OSError(f"{slow}; without {hung} it is asked again")
    try:
        _compile(recipe, made)
    except subprocess.TimeoutExpired as error:
        with contextlib.suppress(EnvironmentFault, OSError):
            _make_folder()
            files.write_text(hung, "")
        raise OSError(slow) from error
    tried = [sys.executable, "-c", _TRIAL, str(made), recipe.lanes, *recipe.symbols]
    if sys.executable and _run(tried, recipe.timeout_s).returncode != 0:
        raise OSError(f"what {recipe.compiler} made cannot be loaded")
    with contextlib.suppress(EnvironmentFault, OSError):
        _make_folder()
        kept = folder() / _named(recipe.key, made.read_bytes())
        made.chmod(0o700)
        files.write_atomically(kept, lambda temporary: shutil.copy(made, temporary))
        if _folder_is_ours():
            return ctypes.CDLL(str(kept))
    return ctypes.CDLL(str(made))


def _age(path: Path) -> float:
    """Seconds since a file was written; infinite if there is none, or none that was written before now."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return math.inf
    return age if age >= 0 else math.inf


_TRIAL = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
for name in sys.argv[2:]:
    getattr(library, name)
sys.exit(getattr(library, sys.argv[2])() not in (4, 8, 16, 32))
"""


def _make_folder() -> None:
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    folder().chmod(0o700)  # whoever can write there can run code as the user


def _compile(recipe: Recipe, made: Path) -> None:
    for command in recipe.commands:
        done = _run([*command, "-o", str(made)], recipe.timeout_s)
        if done.returncode == 0:
            return
    done.check_returncode()


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs a command, for at most the timeout; nothing that it started is left."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **streams) as process:
        try:
            said, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, errors)
