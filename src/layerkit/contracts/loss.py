"""The contract of a loss: one number from a prediction and its target, and its gradient."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from layerkit.contracts.differentiable import Differentiable
from layerkit.contracts.misfit import no_floats
from layerkit.errors import ShapeError


class Loss(Differentiable):
    """The base class of all losses: one number from a prediction and its target, and the gradient of that number.

    A loss is a mean over the samples of its mini-batch, so that its size does not depend on their number. The trainer
    relies on this: it processes a large mini-batch in slices, and adds up their losses and gradients, each weighted
    with its share of the samples. A loss that compares the samples of a mini-batch with one another is not such a mean;
    it sets ``compares_samples``, and gets each mini-batch as a whole.

    It has no state: its result depends only on prediction, target and the ``progress`` at the time of forward; backward
    belongs to that forward. It is continuous, and finite at both ends of its domain.

    ``forward`` and ``backward`` are guarded as those of a :class:`~layerkit.contracts.module.Module` are.

    Attributes:
        progress: how far the training is, from 0 to 1. The trainer sets it; only annealed losses use it.
        anneals: whether the result depends on ``progress``. The steps of a training with such a loss are not recorded.
        compares_samples: whether the loss of a mini-batch is not the mean of its samples' losses.
    """

    progress: float = 0.0
    anneals: bool = False
    compares_samples: bool = False

    @abstractmethod
    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss as a tensor without dimensions.

        Args:
            prediction: a batch of any shape, (N, ...).
            target: the wanted values, of the same shape.

        Raises:
            ShapeError: when the shapes differ.
        """

    @abstractmethod
    def backward(self) -> Tensor:
        """Return the gradient of the last forward's loss with respect to the prediction, in the prediction's shape.

        Raises:
            StateError: when there was no forward in training mode.
        """

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return :meth:`forward` of the two."""
        return self.forward(prediction, target)

    def same_shape(self, prediction: Tensor, target: Tensor) -> None:
        """Require that both have the same shape; broadcasting one of them is nearly always a mistake.

        Raises:
            ShapeError: when the shapes differ.
            TensorError: when one of them does not hold floats; bytes from 0 to 255 are nearly always a mistake too.
        """
        for given in (prediction, target):
            if not given.is_floating_point():
                raise no_floats(type(self).__name__, given)
        if prediction.shape != target.shape:
            raise ShapeError(
                f"{type(self).__name__}: prediction {tuple(prediction.shape)} and target {tuple(target.shape)} "
                "must have the same shape"
            )
