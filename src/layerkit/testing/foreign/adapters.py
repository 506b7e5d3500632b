"""Makes functions that torch differentiates of what is none; programs that show a failure have this text in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors of floats in what a function returned: a tensor, or tuples, lists and dicts of them."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def with_keywords(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """Return a function whose last arguments are the ones with these names."""

    def call(*values: Any) -> Any:
        count = len(values) - len(names)
        return function(*values[:count], **dict(zip(names, values[count:], strict=True)))

    return call


def parametrized(module: torch.nn.Module, names: Sequence[str]) -> Callable[..., Any]:
    """Return a function whose last arguments stand for the module's parameters of these names.

    Buffers keep their values, and have the dtype of the first tensor of floats.
    """

    def call(*values: Any) -> Any:
        count = len(values) - len(names)
        dtype = next((v.dtype for v in values if isinstance(v, Tensor) and v.is_floating_point()), None)
        buffers = {
            name: buffer.to(dtype if buffer.is_floating_point() else buffer.dtype, copy=True)
            for name, buffer in module.named_buffers()
        }
        return torch.func.functional_call(
            module, buffers | dict(zip(names, values[count:], strict=True)), values[:count]
        )

    return call


def as_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of tensors that calls one of numpy's arrays; they share their memory."""

    def from_arrays(value: Any) -> Any:
        if callable(value):
            return as_arrays(value)
        if isinstance(value, tuple | list):
            return tuple(map(from_arrays, value))
        return torch.as_tensor(value) if hasattr(value, "__array__") else value

    def call(*values: Any) -> Any:
        return from_arrays(function(*(v.detach().numpy() if isinstance(v, Tensor) else v for v in values)))

    return call


def pulled(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for one that returns (output, pullback), where ``pullback(*gradients)`` gives the inputs'."""

    class Pulled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            outputs, ctx.pullback = forward(*(x.detach() if isinstance(x, Tensor) else x for x in inputs))
            ctx.like = [x.shape if isinstance(x, Tensor) and x.is_floating_point() else None for x in inputs]
            return outputs

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, *gradients: Any) -> Any:
            return fitting(ctx.pullback(*gradients), ctx.like)

    return Pulled.apply


def paired(forward: Callable[..., Any], backward: Callable[..., Any], takes_inputs: bool) -> Callable[..., Any]:
    """Return a function whose gradients ``backward(*gradients, *inputs)`` gives, or ``backward(*gradients)``."""

    def with_pullback(*inputs: Any) -> Any:
        return forward(*inputs), lambda *gradients: backward(*gradients, *(inputs if takes_inputs else ()))

    return pulled(with_pullback)


def fitting(given: Any, like: list[Any]) -> tuple[Any, ...]:
    """Return one gradient an input, each of its input's shape, which torch would otherwise sum or expand to fit."""
    gradients = tuple(given) if isinstance(given, tuple | list) else (given,)
    if len(gradients) < len(like):  # those of the last inputs, where they are no tensors of floats, may be left out
        gradients += (None,) * sum(shape is None for shape in like[len(gradients) :])
    if len(gradients) != len(like):
        raise AssertionError(f"backward returns {len(gradients)} gradients for {len(like)} inputs")
    for index, (gradient, shape) in enumerate(zip(gradients, like, strict=True)):
        if gradient is not None and shape is not None and gradient.shape != shape:
            raise AssertionError(
                f"backward returns a gradient of shape {tuple(gradient.shape)} for input {index}, "
                f"whose shape is {tuple(shape)}"
            )
    return gradients


def differentiated(call: Callable[..., list[Tensor]], needing: Sequence[int], count: int) -> Callable[..., Any]:
    """Return the function that gives the gradients of ``call``; its last arguments are those of the outputs."""

    def gradients(*values: Any) -> list[Tensor]:
        inputs, cotangents = list(values[:count]), values[count:]
        graph = any(isinstance(value, Tensor) and value.requires_grad for value in values)
        with torch.enable_grad():
            for index in needing:
                inputs[index] = inputs[index] if graph else inputs[index].detach().requires_grad_()
            outputs = call(*inputs)
            used = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
            found = torch.autograd.grad(
                [o for o, _ in used],
                [inputs[index] for index in needing],
                [c for _, c in used],
                create_graph=graph,
                allow_unused=True,
            )
        pairs: Iterable[tuple[Tensor | None, int]] = zip(found, needing, strict=True)
        return [g if g is not None else torch.zeros_like(inputs[i]) for g, i in pairs]

    return gradients
