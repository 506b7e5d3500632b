"""The networks that are timed, and their twins of ``torch.nn`` with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from layerkit import MSE, SGD, Architecture, LayerSpec, Trainer, build, load_architecture

ROOT = Path(__file__).parents[1]
LR = 1e-3
"""Small, so that no network diverges in thousands of steps on noise."""

Step = Callable[[Tensor, Tensor], float]


def architectures() -> dict[str, Architecture]:
    """Return the architectures by name: the report's, a stack of 3 x 3 convolutions, a U-Net."""
    files = {
        "table1": ROOT / "architectures/table1.json",
        "dncnn-like": ROOT / "benchmarks/dncnn_like.json",
        "unet": ROOT / "architectures/unet.json",
    }
    return {name: load_architecture(path) for name, path in files.items()}


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Skip(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, super().forward(x)), 1)


CONTAINERS = {"sequential": nn.Sequential, "repeat": nn.Sequential, "residual": Residual, "skip": Skip}


def twin(spec: LayerSpec, shape: tuple[int, ...]) -> nn.Module:
    """Return what a user of torch.nn would write for ``spec``."""
    if spec.type in CONTAINERS:
        inside = [twin(inner.layer, inner.input_shape) for inner in spec.inner(shape)]
        return CONTAINERS[spec.type](*inside)
    if spec.type == "upsampling":
        return nn.Sequential(
            nn.UpsamplingNearest2d(scale_factor=spec.scale_factor),
            nn.Conv2d(shape[0], spec.out_channels, spec.kernel_size, padding=spec.padding, bias=spec.bias),
        )
    reference = spec.reference(shape)
    if reference is None:
        raise ValueError(f"{spec.type} has no twin in torch.nn that the benchmark knows")
    name, arguments = reference
    return getattr(nn, name)(**arguments)


def own_step(architecture: Architecture) -> Step:
    """Return one training step of layerkit."""
    network = build(architecture, seed=0)
    return Trainer(network, MSE(), SGD(network.param(), lr=LR)).step


def twin_of(architecture: Architecture) -> nn.Module:
    """Return the network's twin, with the weights that layerkit starts with."""
    network = twin(architecture.network, architecture.input.shape)
    parameters, own = list(network.parameters()), build(architecture, seed=0).param()
    with torch.no_grad():
        for parameter, (weight, _) in zip(parameters, own, strict=True):
            parameter.copy_(weight)
    return network


def rival_step(network: nn.Module, channels_last: bool, compiled: bool, sgd: dict, lr: float = LR) -> Step:
    """Return one training step of a network of torch.nn."""
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, **sgd)
    run = torch.compile(network) if compiled else network

    def step(noisy: Tensor, target: Tensor) -> float:
        if channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(run(noisy), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
