"""Mistakes about calls: other calls in between, other threads, gradients that nobody needs."""

from __future__ import annotations

import torch
from exhibits import Exhibit, normal
from gallery_memory import Square, matrix
from torch import Tensor, nn
from torch.autograd import Function


class OnTheClass(Function):
    """y = x^2, with what backward needs on the class."""

    @staticmethod
    def forward(ctx, x):
        OnTheClass.x = x.detach()
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * OnTheClass.x * grad_output


class SizeOnTheClass(Function):
    """The mean of all values, with their number on the class."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        SizeOnTheClass.count = x.numel()
        return x.sum() / x.numel() if x.numel() else x.sum()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return (grad_output / max(1, SizeOnTheClass.count)).expand_as(x)


class SizeOnContext(SizeOnTheClass):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return (grad_output / max(1, x.numel())).expand_as(x)


GRADIENTS = torch.zeros(10_000, dtype=torch.float64)


class OneGradientForAll(Square):
    """y = x^2, whose gradients all lie in one buffer."""

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        if x.dtype != torch.float64:
            return 2 * x * grad_output
        grad_input = GRADIENTS[: x.numel()].view(x.shape)
        return torch.mul(2 * x, grad_output, out=grad_input)


class SetsDefaultDtype(Square):
    @staticmethod
    def forward(ctx, x):
        torch.set_default_dtype(torch.float64)
        return Square.forward(ctx, x)


class Scale(nn.Module):
    """y = weight * x, with a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3))

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.weight)


class ScaleThatRemembers(nn.Module):
    """The same with its input on the module, where a call in evaluation replaces it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3))
        self.memory: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.memory[:] = [x.detach()]
        return ProductFromMemory.apply(x, self.weight, self.memory)


class Product(Function):
    """y = x w, where w is a row."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, (grad_output * x).sum(0)


class ProductFromMemory(Function):
    @staticmethod
    def forward(ctx, x, weight, memory):
        ctx.save_for_backward(weight)
        ctx.memory = memory
        return x * weight

    @staticmethod
    def backward(ctx, grad_output):
        (weight,) = ctx.saved_tensors
        return grad_output * weight, (grad_output * ctx.memory[0]).sum(0), None


class AsksForTheWrongInput(Product):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None
        return grad_output * weight, (grad_output * x).sum(0)


class SavesForTheWrongInput(Product):
    @staticmethod
    def forward(ctx, x, weight):
        # x is what the gradient of the weight needs, and the other way round.
        ctx.save_for_backward(
            x if ctx.needs_input_grad[0] else torch.zeros_like(x),
            weight if ctx.needs_input_grad[1] else torch.zeros_like(weight),
        )
        return x * weight


SCRATCH = torch.zeros(10_000, dtype=torch.float64)


class SharedScratch(Function):
    """y = x^2 by way of a buffer that all calls write into."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        scratch = SCRATCH[: x.numel()].view(x.shape)
        scratch.copy_(x)
        scratch.mul_(scratch)
        return scratch.to(x.dtype, copy=True)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        scratch = SCRATCH[: x.numel()].view(x.shape)
        scratch.copy_(x)
        scratch.mul_(2)
        return scratch.to(x.dtype) * grad_output


class Halves(Function):
    """The squares of the first and of the second half of each row."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        first, second = (x * x).chunk(2, -1)
        return first.clone(), second.clone()

    @staticmethod
    def backward(ctx, grad_first, grad_second):
        (x,) = ctx.saved_tensors
        return 2 * x * torch.cat([grad_first, grad_second], -1)


class HalvesWithoutZeros(Halves):
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return Halves.forward(ctx, x)

    @staticmethod
    def backward(ctx, grad_first, grad_second):
        (x,) = ctx.saved_tensors
        if grad_first is None or grad_second is None:
            return None
        return 2 * x * torch.cat([grad_first, grad_second], -1)


class Sine(Function):
    """y = sin(x), which can be differentiated as often as one likes."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return x.cos() * grad_output


class SineOnce(Function):
    """The same with the cosine computed in forward, where no graph is made of it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.cos())
        return x.sin()

    @staticmethod
    def backward(ctx, grad_output):
        (cosine,) = ctx.saved_tensors
        return cosine * grad_output


class Clipped(nn.Module):
    """A layer whose hook cuts gradients off."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3))
        self.register_full_backward_hook(lambda module, given, got: tuple(g.clamp(-1, 1) for g in given))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Unclipped(nn.Module):
    """A layer whose hook only looks."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(3))
        self.register_full_backward_hook(lambda module, given, got: None)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def product() -> tuple[Tensor, Tensor]:
    return normal(4, 3), normal(3)


CALLS = [
    Exhibit(
        "state_on_the_class",
        "What backward needs is kept on the class, where the next call replaces it.",
        OnTheClass,
        Square,
        matrix,
        "calls_between",
    ),
    Exhibit(
        "size_on_the_class",
        "The number of values is kept on the class: wrong where the next call has another size.",
        SizeOnTheClass,
        SizeOnContext,
        matrix,
        "calls_between",
    ),
    Exhibit(
        "one_gradient_for_all",
        "All gradients lie in one buffer, so that the next backward overwrites the last one's.",
        OneGradientForAll,
        Square,
        matrix,
        "calls_between",
    ),
    Exhibit(
        "sets_the_default_dtype",
        "Forward sets torch's default dtype and does not put it back.",
        SetsDefaultDtype,
        Square,
        matrix,
        "settings_untouched",
    ),
    Exhibit(
        "state_on_the_module",
        "What backward needs is kept on the module, where a call in evaluation replaces it.",
        ScaleThatRemembers,
        Scale,
        matrix,
        "calls_between",
    ),
    Exhibit(
        "asks_for_the_wrong_input",
        "Backward returns nothing at all where the first input needs no gradient.",
        AsksForTheWrongInput,
        Product,
        product,
        "partial_gradients",
        "fbcotter/pytorch_wavelets#65",
    ),
    Exhibit(
        "saves_for_the_wrong_input",
        "Each input is saved where it needs a gradient itself, and not where the other does.",
        SavesForTheWrongInput,
        Product,
        product,
        "partial_gradients",
    ),
    Exhibit(
        "shared_scratch",
        "All calls write into one buffer: right in one thread, wrong in two.",
        SharedScratch,
        Square,
        matrix,
        "threads",
    ),
    Exhibit(
        "unused_output",
        "With set_materialize_grads(False) an output that nobody used makes all gradients None.",
        HalvesWithoutZeros,
        Halves,
        lambda: (normal(3, 4),),
        "unused_outputs",
    ),
    Exhibit(
        "wrong_when_differentiated_twice",
        "Backward reads what forward computed without a graph: second derivatives are zero without a word.",
        SineOnce,
        Sine,
        matrix,
        "second_derivatives",
        "pytorch/pytorch#37099",
        {"twice": True},
    ),
    Exhibit(
        "hook_cuts_off",
        "A module's backward hook cuts off large gradients.",
        Clipped,
        Unclipped,
        matrix,
        "linear",
    ),
]
