"""The kernels in CUDA C++: compiled by the nvcc of NVIDIA's wheels for the GPU at hand, and known to XLA.

``jax[cuda13]`` brings nvcc, so that whoever has a GPU that JAX uses can compile them; it wants a C++ compiler beside
it. The first process with these sources, compiler and GPU waits half a minute.
"""

import ctypes
import functools
import importlib.util
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax

from jaxopt_study.kernels import compiled, library

FOLDER = Path(__file__).parent / "cuda"
FLAGS = ("-std=c++17", "-O3", "-w")
_SOURCES = (
    "../cpu/hash.h", "warp.h", "arrays.h", "dropout.h", "norm.h", "fragments.h", "forward.h", "units.h",
    "backward.h", "gradients.h", "units_gradients.h", "measures.h", "operands.h", "library.cu",
)  # fmt: skip
HANDLERS = ("block", "block_gradient", "measures")
_log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether the kernels can be had here; the first call compiles them. The environment's ``NVCC`` names the compiler;
    an empty one does without."""
    try:
        if jax.default_backend() != "gpu":
            raise OSError(f"there is no GPU, but a {jax.default_backend().upper()}")
        library = compiled.load(recipe(sorted({_architecture(device) for device in jax.local_devices()})))
        if fault := fault_of(library):
            raise OSError(f"the GPU does not take them: {fault}")
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        level = logging.INFO if os.environ.get("NVCC") == "" else logging.WARNING
        _log.log(level, "without kernels in CUDA, since %s: as with --kernels=fast", compiled.reason(error))
        return False
    register(library, "CUDA")
    return True


def fault_of(library: ctypes.CDLL) -> str:
    """Why a library cannot run on the GPU at hand, in its driver's words; empty if it can."""
    library.jaxopt_study_cuda_fault.restype = ctypes.c_char_p
    fault: bytes | None = library.jaxopt_study_cuda_fault()
    return fault.decode() if fault else ""


def register(library: ctypes.CDLL, platform: str) -> None:
    """Tells XLA of a library's handlers."""
    for handler in HANDLERS:
        capsule = jax.ffi.pycapsule(getattr(library, f"jaxopt_study_cuda_{handler}"))
        jax.ffi.register_ffi_target(target(handler), capsule, platform=platform)


def target(handler: str) -> str:
    """The name that XLA knows a handler by, another for other sources."""
    return f"jaxopt_study_cuda_{handler}_{_version()}"


def compiler() -> list[str]:
    """The command of nvcc: what ``NVCC`` names, else that of NVIDIA's wheels, else that of the path.

    Raises:
        FileNotFoundError: there is none.
    """
    if (command := compiled.named("NVCC")) is not None:
        return command
    path = next(_in_wheels(), None) or shutil.which("nvcc")
    if path is None:
        raise FileNotFoundError("no nvcc, neither of NVIDIA's wheels nor in the path")
    return [str(path)]


def command(nvcc: Sequence[str], architectures: Sequence[str]) -> list[str]:
    """Compiles the kernels for GPUs of these architectures, as ``sm_90``; without ``-o FILE``."""
    targets = [f"-gencode=arch={name.replace('sm', 'compute')},code={name}" for name in architectures]
    return [*nvcc, *FLAGS, *targets, f"-I{jax.ffi.include_dir()}", str(FOLDER / "library.cu")]


def recipe(architectures: Sequence[str]) -> compiled.Recipe:
    """How the library is made for GPUs of these architectures. FileNotFoundError: there is no nvcc."""
    nvcc = compiler()
    return compiled.Recipe(
        key=compiled.key_of(nvcc, _version(), FLAGS, list(architectures)),
        compiler=nvcc[0],
        commands=[[*command(nvcc, architectures), "-shared", "-Xcompiler", "-fPIC"]],
        symbols=tuple(f"jaxopt_study_cuda_{handler}" for handler in HANDLERS),
        lanes="jaxopt_study_cuda_lanes",
        timeout_s=300,
    )


def host_recipe() -> compiled.Recipe:
    """How the same sources are made for the CPU: values without speed, for whoever has no GPU.

    Raises:
        FileNotFoundError: there is no C++ compiler.
    """
    compiler = library.compiler()
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-w", "-Wno-psabi", "-shared", "-fPIC", "-x", "c++"]
    return compiled.Recipe(
        key=compiled.key_of(compiler, _version(), flags),
        compiler=compiler[0],
        commands=[[*compiler, *flags, f"-I{jax.ffi.include_dir()}", str(FOLDER / "library.cu")]],
        symbols=tuple(f"jaxopt_study_cuda_{handler}" for handler in HANDLERS),
        lanes="jaxopt_study_cuda_lanes",
        timeout_s=300,
    )


def _in_wheels() -> Iterator[Path]:
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or []) if found else []:
        yield from sorted(Path(folder).glob("cu*/bin/nvcc"), reverse=True)


def _architecture(device: jax.Device) -> str:
    return f"sm_{device.compute_capability.replace('.', '')}"


@functools.cache
def _version() -> str:
    return compiled.version(FOLDER / name for name in _SOURCES)
