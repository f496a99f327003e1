"""The kernels in C++: compiled on this machine, for this machine, and known to XLA.

There is no wheel to fit every processor, and the flags that matter most name the one at hand. The first process with
these sources, compiler and processor waits some three seconds; without a compiler everything works as without kernels.
"""

import functools
import logging
import os
import shutil
import subprocess
from pathlib import Path

import jax

from jaxopt_study.kernels import compiled

_FOLDER = Path(__file__).parent / "cpu"
_SOURCES = (
    "vectors.h", "pixels.h", "convolution.h", "hash.h", "dropout.h", "block.h", "images.h", "measures.h", "library.cc",
)  # fmt: skip
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-shared", "-fPIC", "-w")
_FOR_THIS_PROCESSOR = ("-march=native", "-mcpu=native")  # the second is how Clang for ARM has long spelled the first
_HANDLERS = ("pixels", "block", "block_gradient", "convolution", "convolution_gradient", "measures")
_TIMEOUT_S = 60
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
        level = logging.INFO if os.environ.get("CXX") == "" else logging.WARNING  # it is as the user wants it
        said = compiled.reason(error)
        _log.log(level, "on this CPU training takes about twice as long, without C++ kernels: %s", said)
        return 0


def target(handler: str) -> str:
    """The name that XLA knows a handler by, another for other sources; RuntimeError: there are no kernels here."""
    if not available():
        raise RuntimeError("the kernels in C++ cannot be had here; ask library.available() first")
    return _name(handler)


def _name(handler: str) -> str:
    return f"jaxopt_study_{handler}_{_version()}"


def _load() -> int:
    library = compiled.load(_recipe())
    for handler in _HANDLERS:
        capsule = jax.ffi.pycapsule(getattr(library, f"jaxopt_study_{handler}"))
        jax.ffi.register_ffi_target(_name(handler), capsule, platform="cpu")
    return int(library.jaxopt_study_lanes())


def _recipe() -> compiled.Recipe:
    cpp = compiler()
    command = [*cpp, *_FLAGS, f"-I{jax.ffi.include_dir()}", str(_FOLDER / "library.cc")]
    return compiled.Recipe(
        key=compiled.key_of(cpp, _version(), _FLAGS, _processor()),
        compiler=cpp[0],
        commands=[[*command, processor] for processor in _FOR_THIS_PROCESSOR],
        symbols=tuple(f"jaxopt_study_{handler}" for handler in _HANDLERS),
        lanes="jaxopt_study_lanes",
        timeout_s=_TIMEOUT_S,
    )


def compiler() -> list[str]:
    """The command of the C++ compiler: what ``CXX`` names, else the first of the usual ones.

    Raises:
        FileNotFoundError: there is none.
    """
    if (command := compiled.named("CXX")) is not None:
        return command
    path = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if path is None:
        raise FileNotFoundError("no C++ compiler")
    return [path]


@functools.cache
def _version() -> str:
    return compiled.version(_FOLDER / name for name in _SOURCES)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return " ".join(os.uname())
    return "\n".join(sorted({line for line in lines if line.startswith(("model", "flags", "Features", "CPU part"))}))
