"""Another loss, of the known targets only: a target that is NaN is unknown and does not count.

Forward. The other loss is the mean of f(x, y) over its elements. With the k known of all n elements of the batch,

    l = sum of f(x, y) over the known / n = k / n * (the other loss of the known)

Backward, with respect to the prediction x: k / n times the other loss's gradient for the known, and 0 elsewhere.

This is what Noise2Noise (Lehtinen et al. 2018, section 3.2) makes small where pixels are missing: the squared
differences times the mask, over all. To divide by n and not by k gives every known value of a training one weight,
while a mean over k would make a value weigh the more, the fewer of its picture are known. And it adds up: the loss of a
batch is the mean of its samples' losses, whatever is known of each, so that a trainer may walk it in slices. Where half
is unknown it is half as large, and so is its gradient; a learning rate may be larger by as much.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.registered import AnyLoss
from layerkit.contracts.specs import LossSpec


class MaskedSpec(LossSpec):
    """Another loss, in which targets that are NaN do not count: the sum over the known elements / n over all n."""

    takes_masked = True

    type: Literal["masked"] = Field(description="The name of the loss.")
    loss: AnyLoss = Field(description="The loss of the known targets, one that is a mean over single values.")

    example: ClassVar[dict[str, Any]] = {"loss": {"type": "mse"}}

    @field_validator("loss")
    @classmethod
    def _of_single_values(cls, loss: LossSpec) -> LossSpec:
        if not loss.elementwise:
            message = 'the loss "{name}" is not a mean over single values, of which some could be left out; choose one '
            raise PydanticCustomError("component", f'{message}that is, such as "mse"', {"name": loss.name()})
        return loss

    # What other losses declare for good depends on the loss inside here.
    @property
    def kinked(self) -> bool:  # type: ignore[override]  # a property in the place of a class variable
        """Whether the other loss has points without a derivative."""
        return self.loss.kinked

    @property
    def domain(self) -> tuple[float, float] | None:  # type: ignore[override]  # likewise
        """The range that the other loss's predictions and targets must lie in."""
        return self.loss.domain

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        return self.loss.reference()

    def build(self) -> Masked:
        return Masked(self.loss.build())


class Masked(Loss):
    """Another loss of the known targets, as a share of all: 0 where nothing is known.

    Args:
        loss: a mean, over all elements, of a function of one prediction and its target.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    # The other loss's own, so that forward has nothing to tell it.
    @property
    def training(self) -> bool:
        return self.loss.training

    @training.setter
    def training(self, mode: bool) -> None:
        self.loss.training = mode
        self.forget()

    @property
    def progress(self) -> float:
        """How far the training is, from 0 to 1."""
        return self.loss.progress

    @progress.setter
    def progress(self, progress: float) -> None:
        self.loss.progress = progress

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against what is known of ``target``, both of one shape."""
        self.same_shape(prediction, target)
        known = target.isnan().logical_not_()
        # No memory is lent to the other loss: how much is known changes from step to step.
        predicted = prediction[known]
        loss = self.loss.forward(predicted, target[known])
        share = len(predicted) / max(prediction.numel(), 1)
        self.save(known, share)
        return loss * share

    def backward(self) -> Tensor:
        """Return the gradient of the known predictions, with 0 for all others."""
        known, share = self.saved()
        of_known = self.loss.backward()
        grad = self.empty("grad_prediction", known.shape, of_known).zero_()
        grad[known] = of_known * share
        return grad

    def forget(self) -> None:
        super().forget()
        self.loss.forget()
