"""Layers whose shapes, declarations or numbers of bits are not what they say."""

from __future__ import annotations

import random
import tempfile
from typing import Any, ClassVar

import torch
from torch import Tensor
from zoo_building import Bent, Convolved, Dropped, Layer, Scaled

from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError

# Determinism, and what belongs to the whole process


class GlobalRandomness(Dropped):
    """Draws from torch's global random generator."""

    caught_by = "passes_touch_nothing_global"

    def forward(self, x: Tensor) -> Tensor:
        mask = 2.0 * (torch.rand(x.shape) < 0.5).to(x.dtype) if self.training else torch.ones_like(x)
        self.save(mask)
        return x * mask


class PythonRandomness(Dropped):
    """Asks Python's random module whether to drop a whole batch."""

    caught_by = "passes_touch_nothing_global"
    varies = "Python's generator gives"

    def forward(self, x: Tensor) -> Tensor:
        factor = float(random.random() < 0.5) if self.training else 1.0
        self.save(torch.full_like(x, factor))
        return x * factor


class ThreadsChanged(Bent):
    """Sets torch's number of threads."""

    caught_by = "passes_touch_nothing_global"

    def forward(self, x: Tensor) -> Tensor:
        torch.set_num_threads(1 if torch.get_num_threads() > 1 else 2)
        return super().forward(x)


class RandomnessOfTheClock(Bent):
    """The output depends on how many of its objects there have been."""

    caught_by = "same_input_same_bits"
    made = 0

    def prepare(self, generator: torch.Generator) -> None:
        type(self).made += 1
        self.offset = 1e-6 * type(self).made

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.offset


class BuildsFromGlobalRandomness(Scaled):
    """Its first weights come from torch's global generator."""

    caught_by = "building_is_contained"

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", torch.randn(self.channels))
        self.add_parameter("shift", torch.zeros(self.channels))


class BuildsFromAFile(Bent):
    """Opens a file while it is built."""

    caught_by = "building_is_contained"

    def prepare(self, generator: torch.Generator) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"weights")


class AnotherSeedEveryTime(Scaled):
    """Its first weights are another every time, whatever the generator."""

    caught_by = "same_seed_same_parameters"

    def prepare(self, generator: torch.Generator) -> None:
        own = torch.Generator()
        own.seed()
        super().prepare(own)


class AutogradInside(Bent):
    """Lets autograd compute the gradient."""

    caught_by = "written_by_hand"

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        with torch.enable_grad():
            leaf = x.clone().requires_grad_()
            y = leaf + leaf * leaf / 4
        return torch.autograd.grad(y, leaf, grad_output)[0]


class ReadyMadeConvolution(Convolved):
    """Calls torch's convolution."""

    caught_by = "written_by_hand"

    def forward(self, x: Tensor) -> Tensor:
        super().forward(x)
        return torch.nn.functional.conv2d(x, self.weight, self.bias, stride=self.options["stride"])


# Shapes


class OutputShapeOfEvenSizes(Layer):
    """output_shape rounds up where forward rounds down."""

    caught_by = "output_shape_is_true"

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return shape[0], shape[1], (shape[2] + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        self.width = x.shape[3]
        return x[..., : self.width // 2 * 2 : 2].clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        grad = grad_output.new_zeros(*grad_output.shape[:3], self.width)
        grad[..., : self.width // 2 * 2 : 2] = grad_output
        return grad


class GradientOfAnotherType(Bent):
    """The gradient comes back in float64, whatever the input."""

    caught_by = "gradient_is_like_the_input"

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output).double()


class NoEmptyBatch(Layer):
    """Divides by the largest value, which an empty batch does not have."""

    caught_by = "every_batch_size"
    mixes_batch = kinked = True

    def forward(self, x: Tensor) -> Tensor:
        x.max()
        return 2 * x

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output


class EmptyBatchIsNotANumber(Scaled):
    """For an empty batch the gradient is 0 / 0."""

    caught_by = "every_batch_size"

    def backward(self, grad_output: Tensor) -> Tensor:
        self.shift_grad.add_(grad_output.sum((0, 2, 3)) / len(grad_output) * len(grad_output))
        before = self.shift_grad.clone()
        grad_input = super().backward(grad_output)
        self.shift_grad.copy_(before)
        return grad_input


class EmptyBatchAddsDecay(Scaled):
    """A backward of an empty batch halves the gradient that is there."""

    caught_by = "empty_batch_adds_nothing"

    def backward(self, grad_output: Tensor) -> Tensor:
        if not len(grad_output):
            self.scale_grad.mul_(0.5)
        return super().backward(grad_output)


class SizesOfOneSqueezed(Layer):
    """A picture of one row loses that dimension on the way, and its gradient is doubled."""

    caught_by = "sizes_of_one"

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.shape)
        return 2 * x

    def backward(self, grad_output: Tensor) -> Tensor:
        (shape,) = self.saved()
        return grad_output * (4 if shape[2] == 1 or shape[3] == 1 else 2)


class RefusesWithAnIndexError(Layer):
    """output_shape fails with an IndexError for samples that have too few dimensions."""

    caught_by = "impossible_shapes_are_refused"

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output

    spec_members: ClassVar[dict[str, Any]] = {"output_shape": lambda self, shape: (shape[0], shape[1], shape[2])}


class TakesWhatItsSpecRefuses(Layer):
    """The spec refuses pictures lower than two rows, and the layer takes them."""

    caught_by = "impossible_shapes_are_refused"

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        if shape[1] < 2:
            raise ShapeError("two rows at least")
        return shape

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output
