"""PyTorch: eager, one configuration after another, and torch.func.vmap over all of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from experiments.benchmarks import cases
from experiments.benchmarks.cases import Case, Ready

Tensors = dict[str, torch.Tensor]


class Norm(nn.Module):
    """Batch norm of the batch's own statistics; the running ones are replaced, not written over, as vmap needs."""

    def __init__(self, features: int, momentum: float, epsilon: float) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises ``[B, K, H, W]`` or ``[B, K]``."""
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, True, self.momentum, self.epsilon)


def article(size: int) -> nn.Module:
    """The article's network, images ``[B, 3, H, W]``."""

    def norm(features: int) -> nn.Module:
        return Norm(features, 0.01, 1e-3)

    layers: list[nn.Module] = [norm(3)]
    channels = 3
    for filters, rate in cases.ARTICLE_BLOCKS:
        if size < 2:
            break
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), norm(filters)]
        layers += [nn.Dropout(rate)]
        channels, size = filters, size // 2
    layers += [nn.Flatten(), nn.Linear(channels * size * size, 256), nn.ReLU(), norm(256), nn.Dropout(0.6)]
    return nn.Sequential(*layers, nn.Linear(256, 256), nn.ReLU(), norm(256), nn.Linear(256, 1))


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, 1, bias=False),
            Norm(channels, 0.01, 1e-5),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            Norm(channels, 0.01, 1e-5),
        )
        same = before == channels and stride == 1
        projection = (nn.Conv2d(before, channels, 1, stride, bias=False), Norm(channels, 0.01, 1e-5))
        self.shortcut = nn.Identity() if same else nn.Sequential(*projection)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Applies it."""
        return F.relu(self.main(x) + self.shortcut(x))


def resnet() -> nn.Module:
    """The residual network, images ``[B, 3, H, W]``."""
    before, *_, last = cases.RESNET_CHANNELS
    layers: list[nn.Module] = [nn.Conv2d(3, before, 3, padding=1, bias=False), Norm(before, 0.01, 1e-5), nn.ReLU()]
    for i, channels in enumerate(cases.RESNET_CHANNELS):
        layers.append(Block(before, channels, 1 if i == 0 else 2))
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, 1))


def build(case: Case, *, form: str) -> Ready:
    """Args: form: ``eager`` or ``vmap``."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, labels = (torch.from_numpy(x).to(device) for x in cases.data(case))
    images = images.permute(0, 1, 4, 2, 3).contiguous()
    net = (article(case.image_size) if case.model == "article" else resnet()).to(device)
    weights = sum(p.numel() for p in net.parameters())
    make: Callable[..., Callable[[], Any]] = {"eager": eager, "vmap": batched}[form]
    one_pass = make(net, images, labels.float(), torch.from_numpy(cases.learning_rates(case.configs)).to(device))

    def run(passes: int) -> None:
        for _ in range(passes):
            one_pass()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return Ready(run, weights)


def eager(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor) -> Callable[[], None]:
    """A pass of one configuration."""
    optimizer = torch.optim.SGD(net.parameters(), float(rates[0]), cases.MOMENTUM, fused=True)

    def one_pass() -> None:
        for x, y in zip(images, labels, strict=True):
            optimizer.zero_grad(set_to_none=True)
            F.binary_cross_entropy_with_logits(net(x.float() / 255)[:, 0], y).backward()
            optimizer.step()

    return one_pass


def batched(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor) -> Callable[[], None]:
    """A pass of all configurations: gradients by vmap, dropout masks shared, one fused update for all."""
    count = len(rates)
    params = {k: v.detach().expand(count, *v.shape).clone() for k, v in net.named_parameters()}
    buffers = {k: v.expand(count, *v.shape).clone() for k, v in net.named_buffers()}
    velocity = [torch.zeros_like(v) for v in params.values()]

    def loss(params: Tensors, buffers: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = torch.func.functional_call(net, (params, buffers), (x,))
        return F.binary_cross_entropy_with_logits(logits[:, 0], y)

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, 0, None, None), randomness="same")
    steps = [-rates.reshape(-1, *[1] * (v.ndim - 1)) for v in params.values()]

    def one_pass() -> None:
        for x, y in zip(images, labels, strict=True):
            grads = gradient(params, buffers, x.float() / 255, y)
            torch._foreach_mul_(velocity, cases.MOMENTUM)
            torch._foreach_add_(velocity, list(grads.values()))
            torch._foreach_add_(list(params.values()), torch._foreach_mul(velocity, steps))

    return one_pass
