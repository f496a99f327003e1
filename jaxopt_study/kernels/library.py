"""Compiles the kernels on this machine, for this machine, keeps the library on disk and tells XLA of its handlers.

There is no wheel to fit every processor, and the flags that matter most name the one at hand. The first process with
these sources, compiler and processor waits some three seconds; without a compiler everything works as without kernels.

A library runs as the user. One from the cache is loaded if it is the user's own, nobody else can write it, and its name
has the digest of its content; another is built again. A new one is tried in a process of its own before it is kept.
"""

import contextlib
import ctypes
import functools
import hashlib
import logging
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
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxopt_study import files
from jaxopt_study.errors import EnvironmentFault

_FOLDER = Path(__file__).parent / "cpu"
_SOURCES = ("vectors.h", "convolution.h", "dropout.h", "block.h", "images.h", "measures.h", "library.cc")
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-w")
_FOR_THIS_PROCESSOR = ("-march=native", "-mcpu=native")  # the second is how Clang for ARM has long spelled the first
_HANDLERS = ("block", "block_gradient", "convolution", "convolution_gradient", "measures")
_TIMEOUT_S = 60
_HANGS_FOR_S = 3600.0  # how long a compiler that hung is not asked again
_log = logging.getLogger(__name__)


def available() -> bool:
    """Whether the kernels can be had here; the first call compiles them. The environment's ``CXX`` names the compiler,
    as in make; an empty one does without."""
    return lanes() > 0


@functools.cache
def lanes() -> int:
    """What a batch must be a multiple of; 0 if there are no kernels."""
    try:
        return _load()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip() or repr(error)
        level = logging.INFO if os.environ.get("CXX") == "" else logging.WARNING  # it is as the user wants it
        _log.log(
            level, "on this CPU training takes about twice as long, without C++ kernels: %s", said.splitlines()[-1]
        )
        return 0


def target(handler: str) -> str:
    """The name that XLA knows a handler by, another for other sources; RuntimeError: there are no kernels here."""
    if not available():
        raise RuntimeError("the kernels in C++ cannot be had here; ask library.available() first")
    return _name(handler)


def _name(handler: str) -> str:
    return f"jaxopt_study_{handler}_{_version()}"


def _load() -> int:
    compiler = _compiler()
    key = _key(compiler)
    with tempfile.TemporaryDirectory(prefix="jaxopt_study-native-") as scratch:
        library = _cached(key) or _built(compiler, key, Path(scratch))  # stays loaded when its file goes
    for handler in _HANDLERS:
        capsule = jax.ffi.pycapsule(getattr(library, f"jaxopt_study_{handler}"))
        jax.ffi.register_ffi_target(_name(handler), capsule, platform="cpu")
    return int(library.jaxopt_study_lanes())


def _compiler() -> list[str]:
    named = os.environ.get("CXX")
    if named is not None:
        words = shlex.split(named)
        if not words:
            raise FileNotFoundError("CXX is empty")
        if shutil.which(words[0]) is None:
            raise FileNotFoundError(f"CXX names {words[0]!r}, which cannot be run")
        return words
    path = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if path is None:
        raise FileNotFoundError("no C++ compiler")
    return [path]


def _folder() -> Path:
    return files.cache_folder() / "native"


def _cached(key: str) -> ctypes.CDLL | None:
    """The library of an earlier process; what cannot be trusted or loaded is removed."""
    if not _folder_is_ours():
        return None
    for path in _folder().glob(f"{key}-*.so"):
        with contextlib.suppress(OSError, ValueError):  # the linker's words about a damaged file may not be text
            if _is_ours(path) and path.name == _named(key, path.read_bytes()):
                return ctypes.CDLL(str(path))
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _folder_is_ours() -> bool:
    return _is_ours(_folder().parent, others=0) and _is_ours(_folder())


def _is_ours(path: Path, others: int = 0o022) -> bool:
    """Whether the user owns a file or folder, no link, to which others have none of these permissions."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & others


def _named(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:20]}.so"


def _built(compiler: list[str], key: str, scratch: Path) -> ctypes.CDLL:
    """The library compiled now, from the cache folder or, where it cannot be kept there, from scratch."""
    made = scratch / "made.so"
    hung = _folder() / f"{key}.hung"
    if _age(hung) < _HANGS_FOR_S:
        raise OSError(f"{compiler[0]} did not end within {_TIMEOUT_S} s; without {hung} it is asked again")
    try:
        _compile(compiler, made)
    except subprocess.TimeoutExpired as error:
        with contextlib.suppress(EnvironmentFault, OSError):
            _make_folder()
            files.write_text(hung, "")
        raise OSError(f"{compiler[0]} did not end within {_TIMEOUT_S} s") from error
    tried = [sys.executable, "-c", _TRIAL, str(made), *_HANDLERS]
    if sys.executable and _run(tried).returncode != 0:
        raise OSError(f"what {compiler[0]} made cannot be loaded")
    with contextlib.suppress(EnvironmentFault, OSError):
        _make_folder()
        kept = _folder() / _named(key, made.read_bytes())
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
    getattr(library, f"jaxopt_study_{name}")
sys.exit(library.jaxopt_study_lanes() not in (4, 8, 16))
"""


def _make_folder() -> None:
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    _folder().chmod(0o700)  # whoever can write there can run code as the user


def _compile(compiler: list[str], made: Path) -> None:
    command = [*compiler, *_FLAGS, f"-I{jax.ffi.include_dir()}", str(_FOLDER / "library.cc"), "-o", str(made)]
    for processor in _FOR_THIS_PROCESSOR:
        done = _run([*command, processor])
        if done.returncode == 0:
            return
    done.check_returncode()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command, for at most the timeout; nothing that it started is left."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **streams) as process:
        try:
            said, errors = process.communicate(timeout=_TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


@functools.cache
def _version() -> str:
    text = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SOURCES)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _key(compiler: list[str]) -> str:
    """20 hex digits for sources, compiler, flags, XLA's headers and what the processor can do."""
    path = os.path.realpath(shutil.which(compiler[0]) or compiler[0])
    program = os.stat(path)
    asked = (compiler, path, program.st_size, program.st_mtime_ns, _FLAGS)
    about = (_version(), asked, metadata.version("jaxlib"), _processor())
    return hashlib.sha256(repr(about).encode()).hexdigest()[:20]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return " ".join(os.uname())
    return "\n".join(sorted({line for line in lines if line.startswith(("model", "flags", "Features", "CPU part"))}))
