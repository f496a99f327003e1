"""Is what a device computes right? Steps for `gpu_first`: against float64 on the CPU, and bit for bit against itself.

``tell`` writes a line of numbers, see `stages`.
"""

import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.benchmarks import ours
from experiments.benchmarks.cases import Case
from experiments.benchmarks.stages import Tell
from jaxopt_study.engine import devices
from jaxopt_study.kernels import cuda_library
from jaxopt_study.layers.dropout import keep_mask
from jaxopt_study.models import article
from jaxopt_study.models.build import article_model
from jaxopt_study.models.network import Network, Variables

PyTree = Any
RUNS, BATCH = 2, 32
EPSILON = {"float32": 2e-3, "float32x3": 2e-3, "tensorfloat32": 0.3, "bfloat16": 1.0}
"""What gradients may be wrong by, relative to their norm: with coarse units pooling takes other pixels at times."""


class Form(NamedTuple):
    """How the network is computed: see the flags of a study of these names."""

    kernels: str
    precision: str
    activations: str = "float32"

    def must_be_there(self) -> None:
        """RuntimeError: it is computed by kernels that cannot be had here; a study would take others instead."""
        if self.kernels.startswith("cuda") and not cuda_library.available():
            raise RuntimeError("the kernels in CUDA cannot be had here")

    @property
    def limit(self) -> float:
        """See EPSILON."""
        return EPSILON[self.precision if self.activations == "float32" else self.activations]

    @property
    def name(self) -> str:
        """For the lines."""
        return ", ".join((self.kernels, self.precision, *([self.activations] if self.activations != "float32" else [])))


def masks(tell: Tell, sizes: Sequence[int]) -> None:
    """Dropout's masks, of several seeds at a time, are those of the CPU bit for bit; ValueError: they are not.

    XLA once computed wrong ones on GPUs, silently (https://github.com/jax-ml/jax/issues/40588).
    """
    seeds = np.random.default_rng(0).integers(0, 2**32, (4, 2), np.uint32)
    shapes: dict[tuple[int, ...], float] = {}
    for size in sizes:
        for layer in range(article.blocks((size, size))):
            side = size >> layer + 1
            shapes[layer, article.FILTERS[layer], side, side, BATCH] = article.BLOCK_DROPOUT[layer]
    shapes[len(article.FILTERS), article.DENSE_UNITS, BATCH] = article.DENSE_DROPOUT
    wrong = 0
    for (layer, *shape), rate in shapes.items():
        batched = jax.vmap(functools.partial(keep_mask, layer=layer, shape=tuple(shape), rate=rate))
        with jax.default_device(jax.devices("cpu")[0]):
            expected = np.asarray(jax.jit(batched)(seeds))
        wrong += int(np.sum(np.asarray(jax.jit(batched)(seeds)) != expected))
    tell(masks=len(shapes), wrong=wrong)
    if wrong:
        raise ValueError(f"{wrong} elements of dropout's masks are not the CPU's")


def network(tell: Tell, size: int, forms: Sequence[Sequence[str]], folder: str) -> None:
    """Loss, gradients, statistics and validation logits of each form against float64 on the CPU.

    ValueError: one is wrong; an array that differs most is then in the folder, with what it should be.
    """
    made = [Form(*form) for form in forms]
    (variables, images, labels, keys), expected = _work(size)
    wrong = []
    with ThreadPoolExecutor(len(made)) as pool:  # compiling takes a core for half a minute
        compiled = list(pool.map(lambda form: _compiled(form, size, variables, images, labels, keys), made))
    for form, function in zip(made, compiled, strict=True):
        found = jax.device_get(function(variables, images, labels, keys))
        errors = {name: _error(found[name], expected[name]) for name in expected}
        worst, error = _worst(found["gradients"], expected["gradients"])
        tell(size=size, form=form.name, limit=form.limit, **errors, worst={worst: error})
        if not all(value <= form.limit for value in errors.values()):
            wrong.append(form.name)
            path = Path(folder) / f"differs_{size}_{'_'.join(form)}.npz"
            np.savez(path, found=_leaf(found["gradients"], worst), expected=_leaf(expected["gradients"], worst))
    if wrong:
        raise ValueError(f"wrong at {size} pixels: {'; '.join(wrong)}")


@functools.cache
def _work(size: int) -> tuple[tuple[Any, ...], PyTree]:
    """Variables of some runs, images, labels and keys, and what comes of them in float64 on the CPU."""
    rng = np.random.default_rng(size)
    images = rng.integers(0, 256, (BATCH, size, size, 3), np.uint8)
    labels = rng.integers(0, 2, BATCH).astype(np.float32)
    keys = jax.random.split(jax.random.key(1), RUNS)
    variables = _disturbed(article_model().build((size, size, 3), 1, BATCH), rng)
    return (variables, images, labels, keys), _in_float64(variables, images, labels, keys)


def _disturbed(network: Network, rng: np.random.Generator) -> Variables:
    """The variables of some runs, none of them 0 or 1 as most are at the beginning; host arrays ``[RUNS, ..]``."""
    start = jax.device_get(jax.vmap(network.init)(jax.random.split(jax.random.key(0), RUNS)))

    def disturb(path: Any, x: np.ndarray) -> np.ndarray:
        if "var" in jax.tree_util.keystr(path):
            return rng.uniform(0.5, 1.5, x.shape).astype(np.float32)
        return (x + rng.normal(0.0, 0.1, x.shape)).astype(np.float32)

    return cast(Variables, jax.tree_util.tree_map_with_path(disturb, start))


def _compiled(form: Form, size: int, *arguments: Any) -> Any:
    form.must_be_there()
    network = article_model(kernels=form.kernels, activations=form.activations).build((size, size, 3), 1, BATCH)

    def of_all(variables: Variables, images: jax.Array, labels: jax.Array, keys: jax.Array) -> dict[str, PyTree]:
        prepared, seen = network.prepare(images, True), network.prepare(images, False)

        def of_run(variables: Variables, key: jax.Array) -> dict[str, PyTree]:
            def loss(params: PyTree) -> tuple[jax.Array, PyTree]:
                logits, stats = network.train(Variables(params, variables.stats), prepared, key)
                return optax.sigmoid_binary_cross_entropy(logits[:, 0], labels).mean(), stats

            (value, stats), gradients = jax.value_and_grad(loss, has_aux=True)(variables.params)
            logits = network.evaluate(variables, seen)
            return {"loss": value, "gradients": gradients, "stats": stats, "logits": logits}

        return jax.vmap(of_run)(variables, keys)

    precision = devices.precision(form.precision, jax.default_backend())
    with jax.default_matmul_precision(precision):
        return jax.jit(of_all).lower(*arguments).compile()


def _in_float64(variables: Variables, images: np.ndarray, labels: np.ndarray, keys: jax.Array) -> PyTree:
    """The same of Flax's own layers, on the CPU, a run after the other."""
    options: Any = jax  # which have no types
    x64 = options.enable_x64 if hasattr(jax, "enable_x64") else options.experimental.enable_x64  # before jax 0.8
    with x64(True), jax.default_device(jax.devices("cpu")[0]):
        module = article.ArticleNet(dtype=jnp.float64)
        doubled = jax.tree.map(lambda x: np.asarray(x, np.float64), variables)
        x = np.asarray(images, np.float64) / 255

        @jax.jit
        def of_run(params: PyTree, stats: PyTree, x: jax.Array, key_data: jax.Array) -> dict[str, PyTree]:
            rngs = {"dropout": jax.random.wrap_key_data(key_data)}

            def loss(params: PyTree) -> tuple[jax.Array, PyTree]:
                logits, new = module.apply({"params": params, **stats}, x, True, rngs=rngs, mutable=["batch_stats"])
                return optax.sigmoid_binary_cross_entropy(logits[:, 0], jnp.asarray(labels, jnp.float64)).mean(), new

            (value, new), gradients = jax.value_and_grad(loss, has_aux=True)(params)
            logits = module.apply({"params": params, **stats}, x)
            return {"loss": value, "gradients": gradients, "stats": new, "logits": logits}

        data = np.asarray(jax.random.key_data(keys))
        runs = [
            jax.device_get(of_run(*jax.tree.map(lambda x, i=i: x[i], (doubled.params, doubled.stats)), x, data[i]))
            for i in range(RUNS)
        ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *runs)


def _error(found: PyTree, expected: PyTree) -> float:
    """The distance of all arrays together, relative to the norm of what they should be; infinite if one is NaN."""
    pairs = list(zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
    distance = sum(float(np.sum(np.square(np.asarray(a, np.float64) - b))) for a, b in pairs)
    norm = sum(float(np.sum(np.square(b))) for _, b in pairs)
    error = float(np.sqrt(distance / norm))
    return error if np.isfinite(error) else float("inf")


def _worst(found: PyTree, expected: PyTree) -> tuple[str, float]:
    """The array that is wrong by most, relative to its norm."""
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(expected)]
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    errors = dict(zip(names, (_error(a, b) for a, b in pairs), strict=True))
    worst = max(errors, key=lambda name: errors[name])
    return worst, errors[worst]


def _leaf(tree: PyTree, name: str) -> np.ndarray:
    found: Mapping[str, Any] = {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(tree)}
    return np.asarray(found[name])


def epoch(tell: Tell, size: int, steps: int) -> None:
    """The rows of a short epoch, measures included, against the CPU's; ValueError: they differ by more than 1%."""
    case = Case("article", size, 4, BATCH, steps, 1)
    rows = []
    for platform in (jax.default_backend(), "cpu"):
        study = ours.study_of(case, diagnostics=True, kernels="fast", strategy="vmap")
        rows.append(np.asarray(ours.Epoch(study, jax.devices(platform)[:1]).run(1).metrics))
    # NaN is where there is nothing to validate on.
    both = np.isfinite(rows[1])
    difference = np.max(np.abs(rows[0] - rows[1])[both] / np.maximum(np.abs(rows[1][both]), 1e-3))
    tell(size=size, steps=steps, largest_difference=float(difference))
    if not difference < 0.01 or not np.array_equal(np.isfinite(rows[0]), both):
        tell(found=rows[0].tolist(), expected=rows[1].tolist())
        raise ValueError(f"the epoch's measures differ from the CPU's by {difference:.3g}")


def bits(tell: Tell, kernels: str, precision: str, size: int, steps: int, slots: Sequence[int]) -> None:
    """Whether an epoch gives the same bits twice, and a run the same in another number of slots.

    The largest number of slots is trained twice, the others once; told is in how many numbers of the run in the slot
    before the fewest's last they differ.
    """
    Form(kernels, precision).must_be_there()
    states = []
    for count in [max(slots), *sorted(slots, reverse=True)]:
        case = Case("article", size, max(slots), BATCH, steps, 1)
        study = ours.study_of(case, diagnostics=True, kernels=kernels, strategy="vmap", precision=precision)
        study.runs = study.runs[:count]
        epoch = ours.Epoch(study)
        epoch.run(1)
        states.append(jax.tree.map(np.asarray, jax.device_get(epoch.states)))
    slot, first = min(slots) - 1, states[0]
    own = [jax.tree.map(lambda x: x[slot : slot + 1].copy(), state) for state in states]
    tell(
        kernels=kernels,
        precision=precision,
        bytes=sum(x.nbytes for x in jax.tree.leaves(own[0])),
        unlike_again=_unlike(states[1], first),
        **{
            f"unlike_in_{count}_slots": _unlike(one, own[0])
            for count, one in zip(sorted(slots, reverse=True)[1:], own[2:], strict=True)
        },
    )


def alike(tell: Tell, forms: Sequence[Sequence[str]], size: int, steps: int, slots: int) -> None:
    """Whether forms give the same bits: in how many bytes of all runs an epoch differs from that of the first."""
    states = []
    for form in (Form(*names) for names in forms):
        form.must_be_there()
        case = Case("article", size, slots, BATCH, steps, 1)
        study = ours.study_of(case, diagnostics=True, kernels=form.kernels, strategy="vmap", precision=form.precision)
        epoch = ours.Epoch(study)
        epoch.run(1)
        states.append(jax.tree.map(np.asarray, jax.device_get(epoch.states)))
        tell(form=form.name, slots=slots, steps=steps, unlike=_unlike(states[-1], states[0]))


def _unlike(one: PyTree, other: PyTree) -> int:
    """Bytes that differ."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return sum(int(np.sum(a.view(np.uint8) != b.view(np.uint8))) for a, b in pairs if a.size)
