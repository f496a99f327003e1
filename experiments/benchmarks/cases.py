"""What is measured: the cases, the programs and the work of an example. Imports no framework.

A case fixes the work; every program trains the same number of examples of it, with as many weights.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

MOMENTUM = 0.9
CLASSES = 2
ARTICLE_BLOCKS = ((4, 0.2), (8, 0.2), (16, 0.2), (32, 0.2), (64, 0.6))
"""Filters and dropout of the article's blocks; images of less than two pixels go through no more of them."""
RESNET_CHANNELS = (16, 32, 64)


class Case(NamedTuple):
    """One measurement's work.

    Attributes:
        model: ``article`` or ``resnet``.
        image_size: height and width in pixels, three channels.
        configs: configurations that train at once, C.
        batch_size: examples a step, B.
        steps: batches of data on the device, T.
        devices: that this project uses; the peers use all that they find.
    """

    model: str
    image_size: int
    configs: int
    batch_size: int
    steps: int
    devices: int


class Peer(NamedTuple):
    """A program that is measured.

    Attributes:
        name: in flags and files.
        title: in tables and figures.
        module: within this package, with ``build(case, **options) -> Ready``.
        options: of ``build``.
        together: trains all configurations at once; otherwise one after another, so that its rate does not depend on
            how many they are and is measured with one.
        needs: what has to be importable, by the name that pip installs it under.
        environment: of the process.
    """

    name: str
    title: str
    module: str
    options: Mapping[str, Any] = {}
    together: bool = False
    needs: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}


class Ready(NamedTuple):
    """A program with its data and weights on the device.

    Attributes:
        run: ``(passes)``: trains so many times over the case's data and returns when all is computed.
        weights: trainable numbers of one configuration.
        memory_bytes: of a configuration while it runs, data apart; 0 if unknown.
        operations: multiplications and additions of a pass, for what is not training; else 0.
        choosing_seconds: that went, once a machine, into finding the fastest way; not part of the start.
    """

    run: Callable[[int], None]
    weights: int = 0
    memory_bytes: int = 0
    operations: float = 0.0
    choosing_seconds: float = 0.0


def _keras(backend: str, title: str, package: str) -> Peer:
    module = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}[backend]
    return Peer(
        f"keras_{backend}",
        f"Keras fit, {title}",
        "peers_keras",
        needs={"keras": "keras", module: package},
        environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def _ours(name: str, title: str, environment: Mapping[str, str] = {}, **options: Any) -> Peer:
    return Peer(f"ours{name}", f"this project{title}", "ours", options, True, environment=environment)


OURS = (
    _ours("", "", diagnostics=True),
    _ours("_no_diagnostics", ", diagnostics off", diagnostics=False),
    _ours("_plain", ", plain, diagnostics off", diagnostics=False, kernels="plain"),
    _ours("_no_compiler", ", no C++ compiler", {"CXX": ""}, diagnostics=True, kernels="fast", strategy="map"),
)
FIXED = tuple(
    _ours(f"_{strategy}_{kernels}", f", {strategy}, {kernels}", diagnostics=True, kernels=kernels, strategy=strategy)
    for strategy in ("map", "vmap")
    for kernels in ("fast", "plain")
)
"""What the first of `OURS` chooses from, for comparison."""
PEERS = (
    Peer("jax_vmap", "JAX, vmap of nn.Conv", "peers_jax", {"form": "vmap"}, True),
    Peer("jax_loop", "JAX, loop over a jitted step", "peers_jax", {"form": "loop"}),
    Peer("jax_scan", "JAX, scan of the step", "peers_jax", {"form": "scan"}),
    Peer("torch_eager", "PyTorch eager", "peers_torch", {"form": "eager"}, needs={"torch": "torch"}),
    Peer("torch_vmap", "torch.func.vmap", "peers_torch", {"form": "vmap"}, True, {"torch": "torch"}),
    _keras("tensorflow", "TensorFlow", "tensorflow"),
    _keras("jax", "JAX", "jax"),
    _keras("torch", "PyTorch", "torch"),
)
GEMM = Peer("gemm", "largest float32 GEMM", "peers_jax", {"form": "gemm"})


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Made images uint8 ``[T, B, H, W, 3]`` and labels int32 ``[T, B]``, brighter where the label is 1."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (case.steps, case.batch_size)).astype(np.int32)
    shape = (*labels.shape, case.image_size, case.image_size, 3)
    images = rng.integers(0, 192, shape, np.uint8) + (32 * labels[..., None, None, None]).astype(np.uint8)
    return images, labels


def learning_rates(configs: int) -> np.ndarray:
    """A rate a configuration, float32 ``[C]``, small enough for none to diverge."""
    return np.geomspace(1e-4, 1e-3, configs).astype(np.float32)


def steps_for(peer: Peer, image_size: int, configs: int) -> int:
    """Batches of data: so many that what happens once a pass counts for as little as in use, few enough to be quick."""
    many = max(16, 4096 // image_size)
    quick = peer.module == "ours" and peer.options.get("kernels") != "plain"
    if quick or not peer.together:
        return many
    return max(2, many // configs)


def operations(model: str, size: int) -> float:
    """Multiplications and additions of an example, forward and backward, without the gradient of the image.

    Counts convolutions and dense layers, which take three products each, the first layer two; ``size`` is in pixels.
    """
    layers = []  # products of each layer: pixels x weights
    if model == "article":
        channels, side = 3, size
        for filters, _ in ARTICLE_BLOCKS:
            if side < 2:
                break
            layers.append(side**2 * 9 * channels * filters)
            channels, side = filters, side // 2
        layers += [channels * side**2 * 256, 256 * 256, 256]
    else:
        before, side = RESNET_CHANNELS[0], size
        layers.append(size**2 * 27 * before)
        for i, channels in enumerate(RESNET_CHANNELS):
            side = side if i == 0 else -(-side // 2)
            shortcut = before if i else 0
            layers.append(side**2 * channels * (9 * before + 9 * channels + shortcut))
            before = channels
        layers.append(before)
    return 2.0 * (3 * sum(layers) - layers[0])
