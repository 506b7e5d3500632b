"""The oracle of the layers: what torch.nn and autograd make of the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from layerkit import Module

GRADIENTS = "input gradient", "gradient of weight", "gradient of bias"
TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-10}


def _agree(layer: Module, twin: torch.nn.Module, shape: tuple[int, ...], seed: int = 0) -> None:
    """Fail unless both give the same output, input gradient and parameter gradients, for inputs of ``shape``.

    The weights of the layer are copied into the twin, in order. Compared in both precisions, with autograd globally on
    and off, for both layouts of a picture in memory, and twice in a row, for gradients add up.
    """
    for dtype, autograd, layout in (
        (torch.float64, True, torch.contiguous_format),
        (torch.float64, False, torch.channels_last),
        (torch.float32, True, torch.channels_last),
        (torch.float32, False, torch.contiguous_format),
    ):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(shape, dtype=dtype, generator=generator)
        if x.dim() == 4:
            x = x.contiguous(memory_format=layout)
        layer.to(dtype=dtype).zero_grad()
        _copy_weights(layer, twin.to(dtype=dtype))
        for times in (1, 2):
            before = x.clone()
            with torch.set_grad_enabled(autograd):
                y = layer.forward(x)
                grad_output = torch.randn(y.shape, dtype=dtype, generator=generator)
                given = grad_output.clone()
                grad_x = layer.backward(grad_output)
            assert not y.requires_grad
            assert torch.equal(x, before) and torch.equal(grad_output, given), "what the caller gave was changed"
            expected = _autograd(twin, x, grad_output, keep=times > 1)
            _close(y, expected[0], "output")
            _close(grad_x, expected[1], "input gradient")
            for (name, (_, grad)), parameter in zip(layer.named_param().items(), twin.parameters(), strict=True):
                _close(grad, parameter.grad, f"gradient of {name}")


def _copy_weights(layer: Module, twin: torch.nn.Module) -> None:
    with torch.no_grad():
        for (weight, _), parameter in zip(layer.param(), twin.parameters(), strict=True):
            parameter.copy_(weight)


def _autograd(twin: torch.nn.Module, x: Tensor, grad_output: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    if not keep:
        twin.zero_grad(set_to_none=True)
    with torch.enable_grad():
        # Not with channels last: in torch 2.13 some small strided convolutions then end the process, now and then.
        leaf = x.clone(memory_format=torch.contiguous_format).requires_grad_()
        y = twin(leaf)
        y.backward(grad_output)
    return y.detach(), leaf.grad


def _close(given: Tensor, expected: Tensor, what: str) -> None:
    assert given.shape == expected.shape and given.dtype == expected.dtype
    if given.numel():
        error = (given - expected).abs().max().item() / max(1.0, expected.abs().max().item())
        assert error <= TOLERANCE[given.dtype], f"{what}: off by {error:.2e}"


Formula = Callable[..., Any]


def _follows(
    layer: Module,
    shape: tuple[int, ...],
    forward: Formula,
    backward: Formula,
    forward_sizes: tuple[Any, ...],
    backward_sizes: tuple[Any, ...],
) -> None:
    """Fail unless the layer does what its plain formula says, both ways, for inputs of ``shape``."""
    generator = torch.Generator().manual_seed(0)
    layer.to(dtype=torch.float64).bias = torch.randn(layer.bias.shape, generator=generator)
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    y = layer.forward(x)
    grad_output = torch.randn(y.shape, dtype=torch.float64, generator=generator)
    grad_x = layer.backward(grad_output)
    _close(y, forward(x, layer.weight, layer.bias, *forward_sizes), "output")
    expected = backward(grad_output, x, layer.weight, *backward_sizes)
    for given, other, what in zip((grad_x, layer.weight_grad, layer.bias_grad), expected, GRADIENTS, strict=True):
        _close(given, other, what)


def _formula_agrees(
    twin: torch.nn.Module,
    shape: tuple[int, ...],
    forward: Formula,
    backward: Formula,
    forward_sizes: tuple[Any, ...],
    backward_sizes: tuple[Any, ...],
) -> None:
    """Fail unless the plain formula says what torch makes of the same numbers, for inputs of ``shape``."""
    generator = torch.Generator().manual_seed(0)
    weight, bias = twin.to(dtype=torch.float64).parameters()
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    y = forward(x, weight.detach(), bias.detach(), *forward_sizes)
    grad_output = torch.randn(y.shape, dtype=torch.float64, generator=generator)
    expected_y, expected_grad_x = _autograd(twin, x, grad_output, keep=False)
    _close(y, expected_y, "output")
    gradients = backward(grad_output, x, weight.detach(), *backward_sizes)
    for given, other, what in zip(gradients, (expected_grad_x, weight.grad, bias.grad), GRADIENTS, strict=True):
        _close(given, other, what)


@pytest.fixture(scope="session")
def follows() -> Callable[..., None]:
    """Return the comparison of a layer with its plain formula."""
    return _follows


@pytest.fixture(scope="session")
def formula_agrees() -> Callable[..., None]:
    """Return the comparison of a plain formula with torch."""
    return _formula_agrees


@pytest.fixture(scope="session")
def agree() -> Callable[..., None]:
    """Return the comparison ``agree(layer, twin, shape, seed)``."""
    return _agree
