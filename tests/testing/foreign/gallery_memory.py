"""Mistakes about memory: how it is laid out, who may write into it, who keeps it."""

from __future__ import annotations

import torch
from exhibits import Exhibit, normal
from torch import Tensor
from torch.autograd import Function


def as_a_kernel_reads(value: Tensor) -> Tensor:
    """Return what a kernel reads that walks over memory from the first value on, and knows no strides."""
    last = min(value.storage_offset() + value.numel(), value.untyped_storage().nbytes() // value.element_size())
    places = torch.arange(value.storage_offset(), value.storage_offset() + value.numel()).clamp(max=last - 1)
    flat = value.as_strided((last,), (1,), 0) if last else value.reshape(-1)
    return flat[places].reshape(value.shape)


class Square(Function):
    """y = x^2."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 2 * x * grad_output


class ReadsGradientAsContiguous(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 2 * x * as_a_kernel_reads(grad_output)


class ViewsGradient(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return (2 * x.reshape(-1) * grad_output.view(-1)).reshape(x.shape)


class ReadsInputAsContiguous(Square):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return as_a_kernel_reads(x) ** 2


class SavesInputAsContiguous(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 2 * as_a_kernel_reads(x) * grad_output


class GradientWithStridesOfInput(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad_input = x.new_empty_strided(x.shape, x.stride())
        for row in range(len(x)):
            grad_input[row] = 2 * x[row] * grad_output[row]
        return grad_input


class WritesIntoGradient(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output.mul_(2 * x) if grad_output.is_contiguous() else grad_output * 2 * x


class WritesIntoInput(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return x.mul_(2) * grad_output


class Doubled(Function):
    """x becomes 2 x, in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output


class DoubledWithoutAWord(Doubled):
    @staticmethod
    def forward(ctx, x):
        return x.mul_(2).clone()


class LeavesBordersUnwritten(Function):
    """y is x without its last value, which has no influence."""

    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x[..., :-1].clone()

    @staticmethod
    def backward(ctx, grad_output):
        grad_input = grad_output.new_empty(ctx.shape)
        grad_input[..., :-1] = grad_output
        return grad_input


class WritesBorders(LeavesBordersUnwritten):
    @staticmethod
    def backward(ctx, grad_output):
        grad_input = grad_output.new_zeros(ctx.shape)
        grad_input[..., :-1] = grad_output
        return grad_input


class InputOnContext(Square):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x * x

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * ctx.x * grad_output


class Exponential(Function):
    """y = exp(x)."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return y * grad_output


class OutputOnContext(Exponential):
    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.y * grad_output


class KeepsItself(Exponential):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        ctx.result = y
        return y


class Masked(Function):
    """y = x where x > 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward((x > 0).to(x.dtype))
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx.saved_tensors
        return mask * grad_output


class UsesUpWhatItKept(Masked):
    @staticmethod
    def forward(ctx, x):
        ctx.mask = (x > 0).to(x.dtype)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.mask.mul_(grad_output)


@torch.library.custom_op("layerkit_gallery::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    return x**3


@torch.library.custom_op("layerkit_gallery::cube_of_memory", mutates_args=())
def cube_of_memory(x: Tensor) -> Tensor:
    return x**3


def save_input(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def backward_of_cube(ctx, grad_output):
    (x,) = ctx.saved_tensors
    return 3 * x * x * grad_output


def backward_of_memory(ctx, grad_output):
    (x,) = ctx.saved_tensors
    return 3 * x * x * as_a_kernel_reads(grad_output)


cube.register_fake(torch.empty_like)
cube.register_autograd(backward_of_cube, setup_context=save_input)
cube_of_memory.register_fake(torch.empty_like)
cube_of_memory.register_autograd(backward_of_memory, setup_context=save_input)


def matrix() -> tuple[Tensor]:
    return (normal(4, 3),)


MEMORY = [
    Exhibit(
        "gradient_read_as_contiguous",
        "A kernel walks over the gradient's memory as if it were contiguous.",
        ReadsGradientAsContiguous,
        Square,
        matrix,
        "gradient_layouts",
        "pytorch/pytorch#194719, Dao-AILab/flash-attention#355",
    ),
    Exhibit(
        "operator_reads_gradient_as_contiguous",
        "The same in an operator of torch.library.",
        cube_of_memory,
        cube,
        matrix,
        "gradient_layouts",
        "pytorch/pytorch#194719",
    ),
    Exhibit(
        "gradient_viewed",
        "Backward takes a view of the gradient, which an expanded one, as sum() sends back, does not allow.",
        ViewsGradient,
        Square,
        matrix,
        "gradient_layouts",
        "pytorch/pytorch#64529, pytorch/pytorch#69997",
    ),
    Exhibit(
        "input_read_as_contiguous",
        "Forward walks over the input's memory as if it were contiguous.",
        ReadsInputAsContiguous,
        Square,
        matrix,
        "input_layouts",
        "pytorch/pytorch#30303",
    ),
    Exhibit(
        "saved_input_read_as_contiguous",
        "Forward is right for any input; backward walks over what was saved as if it were contiguous.",
        SavesInputAsContiguous,
        Square,
        matrix,
        "input_layouts",
    ),
    Exhibit(
        "gradient_of_expanded_input",
        "The gradient is given the strides of the input: for an expanded one all rows are the same memory.",
        GradientWithStridesOfInput,
        Square,
        matrix,
        "input_layouts",
    ),
    Exhibit(
        "writes_into_gradient",
        "Backward works in place on the gradient that it is given.",
        WritesIntoGradient,
        Square,
        matrix,
        "gradients_untouched",
        "linkedin/Liger-Kernel#254",
    ),
    Exhibit(
        "writes_into_input",
        "Backward works in place on the input that was saved.",
        WritesIntoInput,
        Square,
        matrix,
        "inputs_untouched",
    ),
    Exhibit(
        "missing_mark_dirty",
        "Forward changes its input in place and does not say so.",
        DoubledWithoutAWord,
        Doubled,
        matrix,
        "inputs_untouched",
        "pytorch/pytorch#5871",
    ),
    Exhibit(
        "border_never_written",
        "The gradient begins as torch.empty, and what has no influence is never written.",
        LeavesBordersUnwritten,
        WritesBorders,
        matrix,
        "uninitialized_memory",
        varies="what memory holds",
    ),
    Exhibit(
        "input_on_ctx",
        "The input is an attribute of ctx, so that torch does not notice when it is changed before backward.",
        InputOnContext,
        Square,
        matrix,
        "inputs_changed_later",
        "pyro-ppl/pyro#1049",
    ),
    Exhibit(
        "output_on_ctx",
        "The output is an attribute of ctx, so that torch does not notice when it is changed before backward.",
        OutputOnContext,
        Exponential,
        matrix,
        "outputs_changed_later",
    ),
    Exhibit(
        "output_keeps_itself",
        "An output is an attribute of ctx, which the output holds: a leak.",
        KeepsItself,
        Exponential,
        matrix,
        "no_leak",
        "pytorch/pytorch#5569, pytorch/pytorch#25340",
    ),
    Exhibit(
        "uses_up_what_it_kept",
        "Backward works in place on a mask that is kept on ctx: right once, wrong with retain_graph.",
        UsesUpWhatItKept,
        Masked,
        matrix,
        "second_backward",
        "dmlc/dgl#1060",
    ),
]
