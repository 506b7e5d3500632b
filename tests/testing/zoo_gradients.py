"""Layers whose numbers are wrong; the first ones are the mistakes that forty groups of students made."""

from __future__ import annotations

import torch
from torch import Tensor
from zoo_building import Bent, Convolved, Enlarged, Layer, Rectified, Scaled

# Of facts: each of these kept the right shape.


class MaskBySignOfGradient(Rectified):
    """ReLU's backward masks by the sign of the gradient instead of the input's."""

    caught_by = "backward_is_linear"

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * (grad_output > 0)


class SigmoidDerivativeOfGradient(Layer):
    """The sigmoid's derivative is taken of the gradient."""

    caught_by = "backward_is_linear"
    ranks = (1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.sigmoid() * (1 - grad_output.sigmoid())


class UpstreamGradientDropped(Bent):
    """Backward returns the derivative and forgets to multiply by the gradient it is given."""

    caught_by = "backward_is_linear"

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return (1 + x / 2).clone()


class BiasGradientAveraged(Convolved):
    """The gradient of the bias is the mean over the batch instead of the sum."""

    caught_by = "parameter_gradients"

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.bias_grad.clone()
        grad_input = super().backward(grad_output)
        self.bias_grad.copy_(before + grad_output.sum((2, 3)).mean(0) if len(grad_output) else before)
        return grad_input


class StrideIgnored(Convolved):
    """The gradient of the input is put back as if the windows were next to each other."""

    caught_by = "input_gradient"

    def put_back(self, grad_patches: Tensor, shape: torch.Size) -> Tensor:
        result = grad_patches.new_zeros(shape)
        _, height, width = self.output_shape_of(tuple(shape[1:]), **self.options)
        windows = grad_patches.view(len(grad_patches), self.channels, 2, 2, height, width)
        for i in range(2):
            for j in range(2):
                result[:, :, i : i + height, j : j + width] += windows[:, :, i, j]
        return result


class OnePixelPicked(Enlarged):
    """Upsampling's backward picks one of the four copies instead of summing them."""

    caught_by = "input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output[:, :, ::2, ::2].clone()


class GradientsRebound(Scaled):
    """Backward puts a new tensor in place of the gradient, so that the optimizer keeps an old one."""

    caught_by = "gradients_accumulate"

    def backward(self, grad_output: Tensor) -> Tensor:
        grad_input = super().backward(grad_output)
        self.__dict__["scale_grad"] = self.scale_grad + 0
        return grad_input


class GradientsOverwritten(Scaled):
    """Backward sets the gradients instead of adding to them."""

    caught_by = "gradients_accumulate"

    def backward(self, grad_output: Tensor) -> Tensor:
        self.scale_grad.zero_()
        return super().backward(grad_output)


class GradientNeverZeroed(Scaled):
    """The gradient's memory comes from ``empty`` and holds what was there before."""

    caught_by = "zero_grad_zeroes"

    def prepare(self, generator: torch.Generator) -> None:
        super().prepare(generator)
        self.scale_grad.fill_(1e-3)


class GradientFromEmpty(Scaled):
    """The gradient is memory that was never written, which is zero as long as it is fresh."""

    caught_by = "memory_is_written_before_it_is_read"

    def prepare(self, generator: torch.Generator) -> None:
        super().prepare(generator)
        self.__dict__["scale_grad"] = torch.empty(self.channels)


class BorderNeverWritten(Layer):
    """Shifts a picture by a column and leaves the first one as ``empty`` found it."""

    caught_by = "memory_is_written_before_it_is_read"
    varies = "the memory held"

    def forward(self, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        y[..., 1:] = x[..., :-1]
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = torch.zeros_like(grad_output)
        grad[..., :-1] = grad_output[..., 1:]
        return grad


class WrongWhereItSaturates(Layer):
    """Cuts off beyond 6, where its gradient still lets everything through."""

    caught_by = "input_gradient"
    ranks = (1, 3)
    kinked = True

    def forward(self, x: Tensor) -> Tensor:
        self.save(x > -6)
        return x.clamp(-6, 6)

    def backward(self, grad_output: Tensor) -> Tensor:
        (mask,) = self.saved()
        return grad_output * mask


class StrideSpecialCased(Convolved):
    """The gradient of the weight is right for a stride of 1 and 2 only."""

    caught_by = "parameter_gradients"

    def backward(self, grad_output: Tensor) -> Tensor:
        if self.options["stride"] > 2:
            grad_output = grad_output.roll(1, 3) + grad_output.roll(1, 2)
        return super().backward(grad_output)


class BorderForgotten(Convolved):
    """Where the stride leaves the last rows uncovered, their gradient is not zero but that of the rows before."""

    caught_by = "input_gradient"

    def put_back(self, grad_patches: Tensor, shape: torch.Size) -> Tensor:
        result = super().put_back(grad_patches, shape)
        if (shape[2] - 2) % self.options["stride"]:
            result[:, :, -1] = result[:, :, -2]
        return result


# Numbers that are nearly right


class DividedByBatch(Scaled):
    """The gradient of a parameter is divided by the batch size once more."""

    caught_by = "parameter_gradients"

    def backward(self, grad_output: Tensor) -> Tensor:
        before = self.scale_grad.clone()
        grad_input = super().backward(grad_output)
        self.scale_grad.copy_(before + (self.scale_grad - before) / max(len(grad_output), 1))
        return grad_input


class OneValueFivePercentOff(Bent):
    """A single value of the gradient is 5 % too large."""

    caught_by = "input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = super().backward(grad_output).clone(memory_format=torch.contiguous_format)
        if grad.numel():
            grad.view(-1)[-1] *= 1.05
        return grad


class WrongBeyondTheFirstSample(Bent):
    """Only the first sample of a batch has the right gradient."""

    caught_by = "input_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = super().backward(grad_output)
        return torch.cat([grad[:1], grad[1:] * 1.5])


class WrongForOblongPictures(Layer):
    """Turns pictures by a quarter; the gradient is right for squares, and reshaped instead of turned for others."""

    caught_by = "input_gradient"

    @classmethod
    def output_shape_of(cls, shape: tuple[int, ...], **options: object) -> tuple[int, ...]:
        return shape[0], shape[2], shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3).clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        n, c, width, height = grad_output.shape
        if width == height:
            return grad_output.transpose(2, 3).clone()
        return grad_output.reshape(n, c, height, width).clone()


class TwoWeightsExchanged(Layer):
    """Two weights of one shape have each other's gradient."""

    caught_by = "parameter_gradients"

    def prepare(self, generator: torch.Generator) -> None:
        for name in ("linear", "square"):
            self.add_parameter(name, 1 + 0.1 * torch.randn(self.channels, 1, 1, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return self.linear * x + self.square * x * x

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.square_grad.add_((grad_output * x).sum((0, 2, 3)).view(-1, 1, 1))
        self.linear_grad.add_((grad_output * x * x).sum((0, 2, 3)).view(-1, 1, 1))
        return grad_output * (self.linear + 2 * self.square * x)


class SignTurned(Bent):
    """The gradient has the wrong sign."""

    caught_by = "jacobian_of_small_inputs"

    def backward(self, grad_output: Tensor) -> Tensor:
        return -super().backward(grad_output)


class StatisticsTakenForConstants(Layer):
    """A normalization whose backward takes the mean for a constant."""

    caught_by = "input_gradient"
    ranks = (1, 3)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * (x - x.flatten(1).mean(1).view(-1, *(1,) * (x.dim() - 1)))

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output


class KinkOutsideItsSlopes(Rectified):
    """At zero, where anything from 0 to 1 would do, the slope is 2."""

    caught_by = "kink_convention"

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x.clamp(min=0)

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output * ((x > 0) + 2.0 * (x == 0))


class KinkNotAsDeclared(Rectified):
    """It declares the slope 0 at zero, and uses 1."""

    caught_by = "kink_convention"

    def kinks(self) -> dict[float, float]:
        return {0.0: 0.0}

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x.clamp(min=0)

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output * (x >= 0)
