"""The contract of a loss: one number from a prediction and its target, and its gradient."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from layerkit.contracts.differentiable import Differentiable
from layerkit.errors import ShapeError


class Loss(Differentiable):
    """A loss is a mean over the samples of its batch, so that its size does not depend on how many there are.

    A trainer takes a large batch in parts, and adds up their losses and gradients, each with its share of the samples.

    ``forward(prediction, target)`` returns a tensor of no dimensions; ``backward()`` returns the gradient with respect
    to the prediction, of the prediction's shape.

    Attributes:
        progress: how far the training is, from 0 to 1; the trainer sets it, and only annealed losses look.
    """

    progress: float = 0.0

    @abstractmethod
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss of ``prediction`` against ``target``, both of one shape."""

    @abstractmethod
    def backward(self) -> Tensor:
        """Return the gradient of the last forward's loss with respect to its prediction."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.forward(prediction, target)

    def same_shape(self, prediction: Tensor, target: Tensor) -> None:
        """Refuse a target that would have to be broadcast, which is a mistake more often than a wish.

        Raises:
            ShapeError: when the shapes differ.
        """
        if prediction.shape != target.shape:
            raise ShapeError(
                f"{type(self).__name__}: prediction {tuple(prediction.shape)} and target {tuple(target.shape)} "
                "must have one shape"
            )
