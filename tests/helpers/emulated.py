"""The kernels in CUDA compiled for the host, where calls with ``Form(.., cuda=True)`` find them: values, no speed."""

import functools

from jaxopt_study.kernels import compiled, cuda_library


@functools.cache
def available() -> bool:
    """Whether there is a C++ compiler for them; the first call compiles them, in some four seconds."""
    try:
        recipe = cuda_library.host_recipe()
    except FileNotFoundError:
        return False
    cuda_library.register(compiled.load(recipe), "cpu")
    return True
