"""Mistakes about numbers: formulas, sizes, values and dtypes for which they are wrong."""

from __future__ import annotations

import torch
from exhibits import Exhibit, normal
from gallery_calls import Product, product
from gallery_memory import Square, cube, matrix
from torch import Tensor
from torch.autograd import Function


class MeanOfTheBatch(Product):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, (grad_output * x).mean(0)


class SumByMean(Product):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, (grad_output * x).mean(0) * len(x)


class FirstRows(Product):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, (grad_output * x)[:32].sum(0)


class NoBias(Function):
    """y = x + bias, without a gradient of the bias."""

    @staticmethod
    def forward(ctx, x, bias):
        return x + bias

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, None


class Bias(NoBias):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, grad_output.sum(0)


class Centred(Function):
    """y = x - mean over the batch, where there is more than one sample."""

    @staticmethod
    def forward(ctx, x):
        return x - x.mean(0) if len(x) > 1 else x.clone()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output - grad_output.mean(0) if len(grad_output) > 1 else grad_output


class CentredAlone(Centred):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output - grad_output.mean(0)


class Matmul(Function):
    """y = x W."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        grad_output = grad_output.to(weight.dtype)
        return grad_output @ weight.t(), x.t() @ grad_output


class MatmulForSquares(Matmul):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output @ weight, x.t() @ grad_output


class MatmulOutsideOfAutocast(Matmul):
    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output @ weight.t(), x.t() @ grad_output


class MatmulCached(Matmul):
    """Under autocast the gradient is computed of a weight that was rounded to halves."""

    @staticmethod
    def forward(ctx, x, weight):
        y = Matmul.forward(ctx, x, weight)
        if torch.is_autocast_enabled("cpu"):
            ctx.save_for_backward(x, (2 * weight).round() / 2)
        return y


class Gather(Function):
    """y = x[index], by rows."""

    @staticmethod
    def forward(ctx, x, index):
        ctx.save_for_backward(index)
        ctx.shape = x.shape
        return x[index]

    @staticmethod
    def backward(ctx, grad_output):
        (index,) = ctx.saved_tensors
        return grad_output.new_zeros(ctx.shape).index_add_(0, index, grad_output), None


class GatherOfDistinctRows(Gather):
    @staticmethod
    def backward(ctx, grad_output):
        (index,) = ctx.saved_tensors
        grad_input = grad_output.new_zeros(ctx.shape)
        grad_input[index] = grad_output
        return grad_input, None


class Sinc(Function):
    """y = sin(x) / x, and 1 at 0."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x == 0, torch.ones_like(x), x.sin() / x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        slope = (x * x.cos() - x.sin()) / (x * x)
        return grad_output * torch.where(x == 0, torch.zeros_like(x), slope)


class SincAwayFromZero(Sinc):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x * x.cos() - x.sin()) / (x * x)


class ShortSeries(Function):
    """y = exp(x), with a gradient that is made for small numbers."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * x.clamp(max=5).exp()


class LongSeries(ShortSeries):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * x.exp()


class ClipsGradient(Square):
    @staticmethod
    def backward(ctx, grad_output):
        return Square.backward(ctx, grad_output.clamp(-5, 5))


class FlushesGradient(Square):
    @staticmethod
    def backward(ctx, grad_output):
        return Square.backward(ctx, torch.where(grad_output.abs() < 1e-6, 0, grad_output))


class MasksByGradient(Function):
    """y = max(x, 0), with the mask taken of the gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output.clamp(min=0) * (x > 0)


class Relu(MasksByGradient):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x > 0)


class Dropout(Function):
    """Half of the values are dropped."""

    @staticmethod
    def forward(ctx, x):
        mask = 2.0 * (torch.rand_like(x) < 0.5)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, grad_output):
        (mask,) = ctx.saved_tensors
        return grad_output * mask


class DropsOthers(Dropout):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * (2.0 * (torch.rand_like(grad_output) < 0.5))


class ScaledUp(Square):
    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return (2 * x * (grad_output * 131072.0)) / 131072.0


class Decay(Function):
    """y = x (1 - 0.999)."""

    @staticmethod
    def forward(ctx, x):
        return x * (1 - 0.999)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * (1 - 0.999)


class DecayInItsDtype(Decay):
    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * (1 - grad_output.new_tensor(0.999))


def save_input(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def wrong_backward(ctx, grad_output):
    (x,) = ctx.saved_tensors
    return 2 * x * x * grad_output


@torch.library.custom_op("layerkit_gallery::wrong_cube", mutates_args=())
def wrong_cube(x: Tensor) -> Tensor:
    return x**3


wrong_cube.register_fake(torch.empty_like)
wrong_cube.register_autograd(wrong_backward, setup_context=save_input)


def scaled(x: Tensor, weight: Tensor) -> Tensor:
    return x * weight


def gradients_of_scaled(grad_output: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return grad_output * weight, (grad_output * x).sum(0)


def gradients_not_reduced(grad_output: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return grad_output * weight, grad_output * x


NUMBERS = [
    Exhibit(
        "mean_in_place_of_sum",
        "The gradient of what was broadcast over the batch is a mean over it.",
        MeanOfTheBatch,
        Product,
        product,
        "gradients",
    ),
    Exhibit(
        "not_reduced",
        "The gradient of what was broadcast is not summed: torch would do it, who calls backward himself gets a shape "
        "that is wrong.",
        (scaled, gradients_not_reduced),
        (scaled, gradients_of_scaled),
        product,
        "takes_its_example",
        kind="pair",
    ),
    Exhibit(
        "operator_with_a_wrong_formula",
        "An operator of torch.library with a wrong factor.",
        wrong_cube,
        cube,
        matrix,
        "gradients",
    ),
    Exhibit("forgotten_gradient", "Backward returns None for a bias.", NoBias, Bias, product, "gradients"),
    Exhibit(
        "empty_batch",
        "A sum is written as a mean times the batch size: for an empty batch it is not a number.",
        SumByMean,
        Product,
        product,
        "sizes",
        "pytorch/pytorch#12013",
    ),
    Exhibit(
        "tail_of_the_batch",
        "The gradient of a weight takes the first 32 rows alone, a block of a kernel.",
        FirstRows,
        Product,
        product,
        "sizes",
    ),
    Exhibit(
        "batch_of_one",
        "Forward treats a single sample in another way, and backward does not.",
        CentredAlone,
        Centred,
        matrix,
        "sizes",
    ),
    Exhibit(
        "transposed_for_squares",
        "A matrix that should be transposed is not; for square ones the shape is right.",
        MatmulForSquares,
        Matmul,
        lambda: (normal(4, 3), normal(3, 3)),
        "gradients",
    ),
    Exhibit(
        "same_row_twice",
        "Gradients of a row that was taken twice are not added up; the example takes each row once.",
        GatherOfDistinctRows,
        Gather,
        lambda: (normal(5, 2), torch.tensor([3, 0, 4])),
        "gradients",
    ),
    Exhibit(
        "zero_over_zero",
        "At 0 the formula is 0/0, although there is a derivative.",
        SincAwayFromZero,
        Sinc,
        matrix,
        "gradients",
        "keras-team/keras#23063",
    ),
    Exhibit(
        "wrong_for_large_values",
        "The gradient is cut off where inputs are large.",
        ShortSeries,
        LongSeries,
        matrix,
        "gradients",
    ),
    Exhibit("cuts_off", "Backward cuts off large gradients.", ClipsGradient, Square, matrix, "linear"),
    Exhibit("flushes", "Backward takes small gradients for zero.", FlushesGradient, Square, matrix, "linear"),
    Exhibit(
        "mask_by_gradient",
        "The mask of max(x, 0) is taken of the sign of the gradient as well.",
        MasksByGradient,
        Relu,
        matrix,
        "gradients",
    ),
    Exhibit("drops_others", "Backward of dropout draws a mask of its own.", DropsOthers, Dropout, matrix, "gradients"),
    Exhibit(
        "too_large_for_float16",
        "Backward multiplies by a large number and divides again: in float16 that is infinite.",
        ScaledUp,
        Square,
        matrix,
        "lower_dtypes",
    ),
    Exhibit(
        "rounds_to_one_in_bfloat16",
        "A constant near 1 is made in the dtype of the gradient, where bfloat16 rounds it to 1.",
        DecayInItsDtype,
        Decay,
        matrix,
        "lower_dtypes",
    ),
    Exhibit(
        "raises_after_autocast",
        "Under autocast the gradient is bfloat16 and what was saved is float32: the product of both raises.",
        MatmulOutsideOfAutocast,
        Matmul,
        lambda: (normal(4, 3), normal(3, 2)),
        "autocast",
        "pytorch/ao#4616, shawntan/scattermoe#17",
    ),
    Exhibit(
        "other_numbers_under_autocast",
        "Under autocast backward uses a weight that is rounded too far.",
        MatmulCached,
        Matmul,
        lambda: (normal(4, 3), normal(3, 2)),
        "autocast",
    ),
]
