"""The kernels in CUDA compiled for the host, where calls with ``Form(.., cuda=True)`` find them: values, no speed."""

import functools

import jax

from jaxopt_study.kernels import compiled, cuda_library, library


@functools.cache
def available() -> bool:
    """Whether there is a C++ compiler for them; the first call compiles them, in some four seconds."""
    try:
        compiler = library._compiler()
    except FileNotFoundError:
        return False
    flags = ["-std=c++17", "-O1", "-w", "-Wno-psabi", "-shared", "-fPIC", f"-I{jax.ffi.include_dir()}", "-x", "c++"]
    recipe = compiled.Recipe(
        key=compiled.key_of(compiler, cuda_library._version(), flags),
        compiler=compiler[0],
        commands=[[*compiler, *flags, str(cuda_library.FOLDER / "library.cu")]],
        symbols=tuple(f"jaxopt_study_cuda_{handler}" for handler in cuda_library.HANDLERS),
        lanes="jaxopt_study_cuda_lanes",
        timeout_s=300,
    )
    cuda_library.register(compiled.load(recipe), "cpu")
    return True
