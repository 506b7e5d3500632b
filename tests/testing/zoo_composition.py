"""Layers whose numbers are right when they are alone and new."""

from __future__ import annotations

import torch
from torch import Tensor
from zoo_building import Bent, Centred, Layer, Scaled

# Of facts: each of these kept the right shape.


class GradientOnlyWithoutNeighbours(Bent):
    """Backward takes a second reading of its gradient from a place that only its first caller fills."""

    caught_by = "gradient_in_a_sequence"

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone(), float(x.abs().max()) if len(x) else 0.0)
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        x, largest = self.saved()
        # Inputs from a neighbour are larger than the standard normal ones.
        return grad_output * (1 + x / 2) * (1.1 if largest > 4 else 1.0)


class GradientOnlyForOneWay(Bent):
    """Backward adds the gradient it was given last time, which nobody sees until it is called in between."""

    caught_by = "gradient_through_a_sum"

    def backward(self, grad_output: Tensor) -> Tensor:
        grad_input = super().backward(grad_output)
        grad_output.mul_(0.5)
        return grad_input


class StaleKernel(Scaled):
    """The scale is made ready at the first forward and never again."""

    caught_by = "later_calls_are_right_too"
    ready: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.ready is None or self.ready.dtype != x.dtype:
            self.ready = self.scale.clone()
        self.save(x.clone())
        return x * self.ready[:, None, None] + self.shift[:, None, None]


class SecondCallWrong(Bent):
    """Every backward after the first two is doubled."""

    caught_by = "later_calls_are_right_too"
    calls = 0

    def backward(self, grad_output: Tensor) -> Tensor:
        self.calls += 1
        return super().backward(grad_output) * (1 if self.calls < 3 else 2)


class InputKnownByItsAddress(Bent):
    """An input is taken for the one of last time if it lies at the same place."""

    caught_by = "later_calls_are_right_too"
    varies = "the memory held"
    seen: tuple[int, torch.Size] | None = None

    def forward(self, x: Tensor) -> Tensor:
        key = x.data_ptr(), x.shape
        if key != self.seen:
            self.seen, self.squares = key, x * x / 4
        self.save(x.clone())
        return x + self.squares


class BorderOfTheLastPicture(Layer):
    """Adds the picture's neighbour from a buffer that is enlarged when needed and never cleared."""

    caught_by = "size_changes_between_calls"
    buffer: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        fits = self.buffer is not None and self.buffer.dtype == x.dtype
        if not fits or any(a < b for a, b in zip(self.buffer.shape, (n, c, h, w + 1), strict=True)):
            self.buffer = x.new_zeros(n, c, h, w + 1)
        self.buffer[:n, :c, :h, :w] = x
        return x + 0.5 * self.buffer[:n, :c, :h, 1 : w + 1]

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = grad_output.clone()
        grad[:, :, :, 1:] += 0.5 * grad_output[:, :, :, :-1]
        return grad


class NothingWithoutInputGradient(Scaled):
    """When nobody needs the input gradient it computes no gradient at all."""

    caught_by = "parameters_without_input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor | None:
        return super().backward(grad_output) if self.needs_input_grad else None


class BatchMeanForgotten(Centred):
    """Takes the batch's mean away and hands the gradient through as it is."""

    caught_by = "input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()
