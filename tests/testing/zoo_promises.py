"""Layers whose shapes, declarations or numbers of bits are not what they say."""

from __future__ import annotations

import random
import tempfile
from typing import Any, ClassVar

import torch
from torch import Tensor
from zoo_building import Bent, Centred, Convolved, Dropped, Layer, Rectified, Scaled

from layerkit.component import Shape
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


# Declarations


class RandomnessNotDeclared(Dropped):
    """Drops values by chance and does not say so."""

    caught_by = "undeclared_randomness"
    stochastic = False


class DeclaredRandomButIsNot(Bent):
    """Is declared stochastic and draws nothing."""

    caught_by = "declared_randomness"
    stochastic = True


class ModesNotDeclared(Bent):
    """Is doubled in evaluation and does not say so."""

    caught_by = "undeclared_modes"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 if self.training else 2)


class DeclaredModalButIsNot(Bent):
    """Is declared to differ in evaluation, and does not."""

    caught_by = "declared_modes"
    modal = True


class MixingNotDeclared(Centred):
    """Takes the batch's mean away and does not say so."""

    caught_by = "undeclared_mixing"
    mixes_batch = False


class DeclaredMixingButIsNot(Bent):
    """Is declared to mix the batch, and does not."""

    caught_by = "declared_mixing"
    mixes_batch = True


class BatchSizeMatters(Scaled):
    """The output depends on the size of the batch, though on no other sample."""

    caught_by = "samples_add_up"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + len(x) / 8)

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output * (1 + len(grad_output) / 8))


class KinkNotDeclared(Rectified):
    """Has a kink at zero and does not say so."""

    caught_by = "undeclared_kinks"
    kinked = False


class DeclaredKinkedButIsSmooth(Bent):
    """Is declared to have kinks, which would excuse a wrong gradient here and there."""

    caught_by = "declared_kinks"
    kinked = True


# Layout and number of bits


class OnlyContiguousInputs(Bent):
    """Reads its input as flat memory in the order of its strides."""

    caught_by = "any_layout_of_the_input"

    def forward(self, x: Tensor) -> Tensor:
        flat = x.as_strided((x.numel(),), (1,)) if x.numel() else x
        return super().forward(flat.reshape(x.shape))


class OnlyContiguousGradients(Bent):
    """Takes a view of the gradient, which fails for most layouts."""

    caught_by = "any_layout_of_the_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output.view(-1).view(grad_output.shape))


class ExpandedGradientsDoubled(Bent):
    """Doubles a gradient whose strides are zero."""

    caught_by = "any_layout_of_the_gradient"

    def backward(self, grad_output: Tensor) -> Tensor:
        return super().backward(grad_output) * (2 if 0 in grad_output.stride() else 1)


class HalfPrecisionInside(Bent):
    """Rounds to bfloat16 on the way when the input is float32."""

    caught_by = "float32_agrees_with_float64"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.bfloat16().to(x.dtype) if x.dtype == torch.float32 else x)


class CancellationInside(Layer):
    """Adds a large number and takes it away again."""

    caught_by = "float32_agrees_with_float64"

    def forward(self, x: Tensor) -> Tensor:
        return (2 * x + 1e5) - 1e5

    def backward(self, grad_output: Tensor) -> Tensor:
        return 2 * grad_output


class OverflowingSoftplus(Layer):
    """log(1 + exp(x)) as it stands, which is infinite in float32 from 89 on."""

    caught_by = "special_values_stay_finite"
    ranks = (1, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x.exp().add(1).log()

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output * x.sigmoid()


class DividesByItsNorm(Layer):
    """Divides by the norm of a sample, which may be zero."""

    caught_by = "special_values_stay_finite"
    ranks = (1,)

    def forward(self, x: Tensor) -> Tensor:
        norm = x.square().sum(1, keepdim=True).sqrt()
        y = x / norm
        self.save(y.clone(), norm)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        y, norm = self.saved()
        return (grad_output - y * (grad_output * y).sum(1, keepdim=True)) / norm


class TensorLeftBehind(Layer):
    """A fixed kernel is a plain attribute, which ``to`` does not move."""

    caught_by = "moves_with_to"

    def prepare(self, generator: torch.Generator) -> None:
        self.factors = torch.linspace(1, 2, self.channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factors.to(x.dtype)[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output * self.factors.to(grad_output.dtype)[:, None, None]


class FloatThirtyTwoOnly(Bent):
    """Computes in float32 whatever it is given."""

    caught_by = "moves_with_to"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


class NotWhatTorchDoes(Rectified):
    """Names torch's ReLU6 as its namesake and has no upper end."""

    caught_by = "agrees_with_reference"

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]]:
        return "Hardtanh", {"min_val": 0.0, "max_val": 0.5}
