"""Applies another loss to the known targets only: a target that is NaN is unknown and does not count.

Forward. The other loss is the mean of f(x, y) over its elements. If k of all n elements of the mini-batch are known,

    l = sum of f(x, y) over the known / n = k / n * (the other loss of the known)

Backward, with respect to the prediction x: k / n times the other loss's gradient for the known, and 0 elsewhere.

Noise2Noise (Lehtinen et al. 2018, section 3.2) minimizes this where pixels are missing: the mean over all elements of
the squared differences times the mask. Dividing by n and not by k gives all known values the same weight; with a mean
over k, the values of pictures with few known values would count more. And the loss of a mini-batch is the mean of its
samples' losses, however much is known of each, so that a trainer may process it in slices. If half of the values are
unknown, loss and gradient are half as large, and the learning rate may be twice as large.
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
    """Another loss, in which targets that are NaN do not count: its sum over the known elements, divided by all n."""

    takes_masked = True

    type: Literal["masked"] = Field(description="The name of the loss.")
    loss: AnyLoss = Field(description="The loss of the known targets; it must be a mean over single values.")

    example: ClassVar[dict[str, Any]] = {"loss": {"type": "mse"}}

    @field_validator("loss")
    @classmethod
    def _of_single_values(cls, loss: LossSpec) -> LossSpec:
        if not loss.elementwise:
            message = 'the loss "{name}" is not a mean over single values, so none can be left out; choose one that '
            raise PydanticCustomError("component", f'{message}is, such as "mse"', {"name": loss.name()})
        return loss

    # Other losses declare these as constants; here they depend on the loss inside.
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
    """Another loss of the known targets, weighted with their share of all targets; 0 if none is known.

    Args:
        loss: a mean, over all elements, of a function of one prediction and its target.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    # Stored in the other loss, so that forward need not copy them there.
    @property
    def training(self) -> bool:
        return self.loss.training

    @training.setter
    def training(self, mode: bool) -> None:
        self.loss.training = mode
        self.forget()

    @property
    def anneals(self) -> bool:  # type: ignore[override]  # a property in the place of an attribute
        """Whether the other loss depends on the progress."""
        return self.loss.anneals

    @property
    def progress(self) -> float:
        """How far the training is, from 0 to 1."""
        return self.loss.progress

    @progress.setter
    def progress(self, progress: float) -> None:
        self.loss.progress = progress

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against the known values of ``target``, both of one shape."""
        self.same_shape(prediction, target)
        known = target.isnan().logical_not_()
        # No workspace is lent to the other loss, because the number of known values changes from step to step.
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
