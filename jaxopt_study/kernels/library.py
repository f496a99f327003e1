"""Compiles the kernels on this machine, for this machine, keeps the library on disk and tells XLA of its handlers.

There is no wheel to fit every processor, and the flags that matter most name the one at hand. The first process with
these sources, compiler and processor waits some three seconds; without a compiler everything works as without kernels.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import jax

from jaxopt_study import files

_FOLDER = Path(__file__).parent / "cpu"
_SOURCES = ("vectors.h", "convolution.h", "dropout.h", "block.h", "images.h", "measures.h", "library.cc")
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-w")
_FOR_THIS_PROCESSOR = ("-march=native", "-mcpu=native")  # the second is how Clang for ARM has long spelled the first
_HANDLERS = ("block", "block_gradient", "convolution", "convolution_gradient", "measures")
_TIMEOUT = 120
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
    except (OSError, subprocess.SubprocessError, AttributeError) as error:
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
    with tempfile.TemporaryDirectory(prefix="jaxopt_study-native-") as scratch:
        path = _kept(compiler, Path(scratch))
        library = ctypes.CDLL(str(path))  # stays loaded when its file goes
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
        return words
    path = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if path is None:
        raise FileNotFoundError("no C++ compiler")
    return [path]


def _kept(compiler: list[str], scratch: Path) -> Path:
    """The compiled library: of an earlier process, or now, in the cache folder or, where that cannot be, in scratch."""
    name = f"{_key(compiler)}.so"
    folder = files.cache_folder() / "native"
    if (folder / name).is_file():
        return folder / name
    made = scratch / name
    _compile(compiler, made)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # whoever can write there can run code as the user
        partial = folder / f"{name}.{os.getpid()}"
        shutil.copyfile(made, partial)
        os.replace(partial, folder / name)  # another process may be at the same
    except OSError:
        return made
    return folder / name


def _compile(compiler: list[str], made: Path) -> None:
    command = [*compiler, *_FLAGS, f"-I{jax.ffi.include_dir()}", str(_FOLDER / "library.cc"), "-o", str(made)]
    for processor in _FOR_THIS_PROCESSOR:
        done = subprocess.run([*command, processor], capture_output=True, text=True, timeout=_TIMEOUT)
        if done.returncode == 0:
            return
    done.check_returncode()


@functools.cache
def _version() -> str:
    text = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SOURCES)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _key(compiler: list[str]) -> str:
    """20 hex digits for sources, compiler, flags, XLA's headers and what the processor can do."""
    asked = subprocess.run([*compiler, "--version"], check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    about = (_version(), compiler, asked.stdout, _FLAGS, metadata.version("jaxlib"), _processor())
    return hashlib.sha256(repr(about).encode()).hexdigest()[:20]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return " ".join(os.uname())
    return "\n".join(sorted({line for line in lines if line.startswith(("model", "flags", "Features", "CPU part"))}))
