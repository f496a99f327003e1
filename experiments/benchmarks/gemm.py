"""The ceiling: multiplications and additions a second of a large float32 matrix product on all cores."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.cases import Case, Ready

SIZE = {"cpu": 2048}
SIZE_ELSEWHERE = 8192


def configure() -> None:
    """One device, whose threads are all cores."""
    jax.config.update("jax_num_cpu_devices", 1)


def build(case: Case) -> Ready:
    """A product of two square matrices in full float32 precision."""
    del case
    size = SIZE.get(jax.default_backend(), SIZE_ELSEWHERE)
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.normal(size=(size, size)), jnp.float32) for _ in range(2))
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST))

    def run(passes: int) -> None:
        for _ in range(passes):
            result = product(a, b)
        result.block_until_ready()

    return Ready(run, operations=2.0 * size**3)
