"""Layers that keep the wrong things, or write where they must not."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from zoo_building import Bent, Centred, Layer, Rectified, Scaled, unguarded


class GradientsOnTheClass(Scaled):
    """The gradients are kept on the class and shared by all layers."""

    caught_by = "instances_are_independent"
    shared: ClassVar[dict[Any, Tensor]] = {}

    def backward(self, grad_output: Tensor) -> Tensor:
        shared = self.shared.setdefault((self.channels, grad_output.dtype), torch.zeros_like(self.shift_grad))
        shared.add_(grad_output.sum((0, 2, 3)))
        before = self.shift_grad.clone()
        grad_input = super().backward(grad_output)
        self.shift_grad.copy_(before + shared)
        shared.zero_()
        shared.add_(grad_output.sum((0, 2, 3)))
        return grad_input


class CacheOnTheClass(Bent):
    """What forward keeps is an attribute of the class, so that the last layer's is everyone's."""

    caught_by = "instances_are_independent"

    def forward(self, x: Tensor) -> Tensor:
        type(self).kept = x.clone()
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * (1 + self.kept / 2)


class CachedInputMutated(Bent):
    """Backward computes in the input that forward kept, which is the caller's own."""

    caught_by = "nothing_given_is_changed"

    def forward(self, x: Tensor) -> Tensor:
        self.kept = x
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * self.kept.div_(2).add_(1)


class GradientMutated(Rectified):
    """Backward masks the gradient it is given in place."""

    caught_by = "nothing_given_is_changed"

    def backward(self, grad_output: Tensor) -> Tensor:
        (mask,) = self.saved()
        return grad_output.mul_(mask)


class GradientMutatedIfContiguous(Rectified):
    """Backward masks the gradient in place only where its memory is contiguous."""

    caught_by = "nothing_given_is_changed"

    def backward(self, grad_output: Tensor) -> Tensor:
        (mask,) = self.saved()
        return grad_output.contiguous().mul_(mask)


class InputMutated(Rectified):
    """Forward rectifies its input in place."""

    caught_by = "nothing_given_is_changed"

    def forward(self, x: Tensor) -> Tensor:
        self.save(x > 0)
        return x.clamp_(min=0).clone()


class ParameterMutated(Scaled):
    """Forward pulls its scale towards one, as a bad weight decay."""

    caught_by = "nothing_given_is_changed"

    def forward(self, x: Tensor) -> Tensor:
        self.scale.mul_(0.999)
        return super().forward(x)


class AccumulatesOnce(Scaled):
    """The second backward since zero_grad is not added."""

    caught_by = "gradients_accumulate"
    done = 0

    def zero_grad(self) -> None:
        super().zero_grad()
        self.done = 0

    def backward(self, grad_output: Tensor) -> Tensor:
        self.done += 1
        before = self.scale_grad.clone()
        grad_input = super().backward(grad_output)
        if self.done % 3 == 0:
            self.scale_grad.copy_(before)
        return grad_input


class CacheUsedUp(Bent):
    """Backward computes in what it kept, so that a second one finds something else."""

    caught_by = "backward_twice"

    def forward(self, x: Tensor) -> Tensor:
        self.kept = x.clone() if self.training else None
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return self.kept.div_(2).add_(1) * grad_output


class ZeroGradForgetsOne(Scaled):
    """zero_grad zeroes the first gradient and leaves the second."""

    caught_by = "zero_grad_zeroes"

    def zero_grad(self) -> None:
        self.scale_grad.zero_()


class ZeroGradByFactor(Scaled):
    """zero_grad multiplies by zero, which leaves what is not a number."""

    caught_by = "zero_grad_zeroes"

    def zero_grad(self) -> None:
        for _, gradient in self.param():
            gradient.mul_(0)


class ParamGivesCopies(Scaled):
    """param() returns copies."""

    caught_by = "param_is_complete"

    def param(self) -> list[tuple[Tensor, Tensor]]:
        return [(parameter.clone(), gradient.clone()) for parameter, gradient in super().param()]


class ParamForgetsOne(Scaled):
    """param() leaves out the shift, which will never be learned."""

    caught_by = "param_is_complete"

    def param(self) -> list[tuple[Tensor, Tensor]]:
        return super().param()[:1]


@unguarded
class BackwardWithoutForward(Layer):
    """Backward needs nothing of forward, and works without one."""

    caught_by = "backward_needs_forward"

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output


@unguarded
class GradientBroadcast(Bent):
    """A gradient of another shape is broadcast."""

    caught_by = "wrong_gradient_is_refused"

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x.detach() + x.detach() * x.detach() / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output.detach() * (1 + x / 2)


class FirstForwardCounts(Bent):
    """Backward belongs to the first of several forwards."""

    caught_by = "last_forward_counts"
    waiting: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.waiting = [*(self.waiting or []), x.clone()]
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        x = next(kept for kept in self.waiting if kept.shape == grad_output.shape)
        self.waiting = None
        return grad_output * (1 + x / 2)


class KeepsTheCallersInput(Bent):
    """Keeps the caller's own input under an attribute, where nobody notices that it changes."""

    caught_by = "changes_after_forward"

    def forward(self, x: Tensor) -> Tensor:
        self.kept = x if self.training else None
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * (1 + self.kept / 2)


class KeepsItsOutput(Layer):
    """Keeps the output it returned under an attribute, where nobody notices that it changes."""

    caught_by = "changes_after_forward"
    ranks = (1, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = x.sigmoid()
        self.kept = y if self.training else None
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * self.kept * (1 - self.kept)


class OutputIsTheInput(Layer):
    """The identity, which returns the input itself."""

    caught_by = "nothing_returned_is_overwritten"

    def forward(self, x: Tensor) -> Tensor:
        return x

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


class OutputInABuffer(Bent):
    """The output lies in a buffer that the next forward of the same size writes into."""

    caught_by = "nothing_returned_is_overwritten"
    buffer: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if self.buffer is None or self.buffer.shape != y.shape or self.buffer.dtype != y.dtype:
            self.buffer = torch.empty_like(y)
        return self.buffer.copy_(y)


class GradientInABuffer(Bent):
    """The gradient of the input lies in a buffer that the next backward writes into."""

    caught_by = "nothing_returned_is_overwritten"
    buffer: Tensor | None = None

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = super().backward(grad_output)
        if self.buffer is None or self.buffer.shape != grad.shape or self.buffer.dtype != grad.dtype:
            self.buffer = torch.empty_like(grad)
        return self.buffer.copy_(grad)


class KeepsInEvaluation(Bent):
    """Keeps its input in evaluation mode as well."""

    caught_by = "evaluation_keeps_nothing"

    def forward(self, x: Tensor) -> Tensor:
        self.kept = x.clone()
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * (1 + self.kept / 2)


@unguarded
class StaleAfterEvaluation(Bent):
    """A backward after a forward in evaluation mode uses what an older training step kept."""

    caught_by = "evaluation_keeps_nothing"
    kept: Tensor | None = None

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.kept = x.detach().clone()
        return x.detach() + x.detach() * x.detach() / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * (1 + self.kept / 2)


class RunningMeanInEvaluation(Centred):
    """Evaluation moves the running mean."""

    caught_by = "evaluation_keeps_nothing"

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.training and len(x):
            self.running.lerp_(x.mean(), 0.1)
        return y


class BusyAfterAnError(Bent):
    """A forward that fails leaves the layer marked as busy."""

    caught_by = "survives_an_exception"
    busy = False

    def forward(self, x: Tensor) -> Tensor:
        if self.busy:
            raise RuntimeError("forward is already running")
        self.busy = True
        y = super().forward(x)
        self.busy = False
        return y


@unguarded
class GraphRecorded(Bent):
    """Where the caller has gradient mode on, autograd records what forward does."""

    caught_by = "no_autograd_graph"


GraphRecorded.forward = Bent.forward.__wrapped__
