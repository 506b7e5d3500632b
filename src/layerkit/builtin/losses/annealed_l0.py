"""The annealed L0 loss: a power of the absolute difference, whose exponent goes from 2 to 0 during the training.

Forward, with d = x - y over all n elements of the batch and p the progress of the training:

    l = sum of (|d| + eps)^gamma / n        gamma = 2 (1 - p)

Backward, with respect to the prediction x: gamma (|d| + eps)^(gamma - 1) sign(d) / n, and 0 where x = y.

It is the loss of Noise2Noise (Lehtinen et al. 2018, section 3.2) for random-valued impulse noise. If one value has many
different targets, exponent 2 finds their mean, 1 their median and 0 their mode: with exponent 0 each target counts as
hit or missed, and the size of a miss does not matter. That loss is far from convex, so the training starts with the
squared error and approaches it slowly. At progress 1 gamma, and with it the gradient, would be 0; the last step is
1 / steps before that.

For gamma < 1 the gradient grows towards d = 0, with eps = 1e-8 up to two million times 1 / n, whereas that of the
squared error is at most 2 / n for values of pictures. The few predictions that happen to hit their target then dominate
the gradient. Adam with a falling rate can cope with that, plain gradient descent cannot. So for gamma < 1 the power is
continued along its tangent below a = ``linear_below``:

    a^gamma + gamma a^(gamma - 1) (|d| + eps - a)        where |d| + eps < a

Its slope there is the constant gamma a^(gamma - 1), for a = 0.004 at most 17 for every gamma. A difference of 0.004 is
one 8-bit value, and no prediction needs to be closer to its target. With ``linear_below`` 0 it is exactly the paper's
loss.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.specs import LossSpec


class AnnealedL0Spec(LossSpec):
    """The mean of (|prediction - target| + eps)^gamma, where gamma goes from 2 to 0 during the training.

    In the end it finds the mode of the targets, for noise that replaces values, such as ``impulse`` with any
    probability. For gamma < 1 it is a straight line for the smallest differences, which bounds its gradient.
    """

    kinked = True

    type: Literal["annealed_l0"] = Field(description="The name of the loss.")
    eps: float = Field(default=1e-8, ge=1e-12, le=1, description="Added to every absolute difference.")
    linear_below: float = Field(
        default=0.004,
        ge=0,
        le=1,
        description="The difference below which it is a straight line, when gamma < 1; an 8-bit value is 0.004.",
    )

    def build(self) -> AnnealedL0:
        return AnnealedL0(self.eps, self.linear_below)


class AnnealedL0(Loss):
    """The annealed L0 loss as a mean over all elements; 0 for an empty batch. Its exponent depends on ``progress``.

    Args:
        eps: added to every absolute difference.
        linear_below: for gamma < 1 a straight line replaces the power below this difference.
    """

    anneals = True

    def __init__(self, eps: float = 1e-8, linear_below: float = 0.004) -> None:
        self.eps, self.linear_below = eps, linear_below

    @property
    def gamma(self) -> float:
        """The exponent at this point of the training."""
        return 2 * (1 - self.progress)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against ``target``, both of one shape."""
        self.same_shape(prediction, target)
        gamma, shape = self.gamma, prediction.shape
        difference = torch.sub(prediction, target, out=self.empty("difference", shape, prediction))
        size = torch.abs(difference, out=self.scratch("size", shape, difference)).add_(self.eps)
        # With b = max(size, a) both cases are b^(gamma - 1) (gamma size + (1 - gamma) b).
        straight_to = self.linear_below if gamma < 1 else 0.0
        bent = torch.clamp(size, min=straight_to, out=self.scratch("bent", shape, difference))
        power = torch.pow(bent, gamma - 1, out=self.empty("power", shape, difference))
        self.save(difference, power, gamma)
        return size.lerp_(bent, 1 - gamma).mul_(power).sum() / max(difference.numel(), 1)

    def backward(self) -> Tensor:
        """Return gamma b^(gamma - 1) sign(prediction - target) / n."""
        difference, power, gamma = self.saved()
        grad = torch.sign(difference, out=self.empty("grad_prediction", difference.shape, difference))
        return grad.mul_(power).mul_(gamma / max(difference.numel(), 1))
