"""Layers whose declarations, or whose numbers for other layouts and dtypes, are not true."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from zoo_building import Bent, Centred, Dropped, Layer, Rectified, Scaled

from layerkit.contracts.specs import Shape

# Determinism, and what belongs to the whole process


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


class ProcessesOnTheirOwn(Centred):
    """Says that it spans processes, and takes away the mean over the samples that are here."""

    caught_by = "processes_share_a_batch"
    spans_processes = True


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
