"""The contract of an optimizer: it changes parameters in place, according to their gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import PlainValidator
from pydantic_core import PydanticCustomError
from torch import Tensor

from layerkit.contracts.built import Built
from layerkit.contracts.generators import is_generator_state
from layerkit.errors import CheckpointError


def _pairs(parameters: Any) -> Any:
    """Refuse anything but (parameter, gradient) pairs, such as plain tensors, which torch's optimizers take."""
    pairs = isinstance(parameters, Sequence) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in parameters)
    if pairs and all(isinstance(tensor, Tensor) for pair in parameters for tensor in pair):
        return parameters
    raise PydanticCustomError("parameters", "expected (parameter, gradient) pairs, as network.param() returns them")


Parameters = Annotated[Sequence[tuple[Tensor, Tensor]], PlainValidator(_pairs)]
"""What an optimizer changes: learned tensors, each with its gradient."""


GENERATOR = "generator"
"""The name of the state of an optimizer's random generator in its ``state_dict``."""


class Optimizer(Built):
    """The base class of all optimizers.

    ``zero_grad`` is called before each backward and ``step`` after it. A step changes neither the gradients nor where
    parameters lie in memory. What it keeps for a parameter has that one's dtype; all that its next steps depend on, the
    phase of what it does at times as well, is in its state, and nothing is known by the ``id`` of a tensor.

    Args:
        parameters: (parameter, gradient) pairs of tensors, as ``network.param()`` returns them.
        lr: the learning rate.

    Attributes:
        parameters: the learned tensors, changed in place by ``step``.
        gradients: their gradients: the same tensors that ``backward`` adds to.
        lr: the learning rate; it may be changed between steps.
        generator: draws every random number that a step needs, on the CPU. A training seeds it. An optimizer that uses
            it has its state, ``self.generator.get_state()``, in :meth:`state_dict` under the name ``generator``.
    """

    def __init__(self, parameters: Parameters, lr: float) -> None:
        pairs = list(parameters)
        self.parameters = [parameter for parameter, _ in pairs]
        self.gradients = [gradient for _, gradient in pairs]
        self.lr = lr
        self.generator = torch.Generator()

    @abstractmethod
    def step(self) -> None:
        """Update every parameter once, in place."""

    def zero_grad(self) -> None:
        """Set every gradient to zero, in place."""
        if self.gradients:
            torch._foreach_zero_(self.gradients)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors by name that the next steps depend on, apart from the parameters."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy ``state`` back, in place; nothing is changed unless everything fits.

        Raises:
            CheckpointError: when ``state`` belongs to another optimizer or other parameters.
        """
        own = self.state_dict()
        wrong = sorted(own.keys() ^ state.keys()) or sorted(
            name for name in own if own[name].shape != state[name].shape
        )
        if not wrong and GENERATOR in own and not is_generator_state(self.generator, state[GENERATOR]):
            wrong = [GENERATOR]
        if wrong:
            raise CheckpointError(f"the optimizer state does not fit {type(self).__name__}: {', '.join(wrong[:5])}")
        for name, tensor in own.items():
            if name == GENERATOR:
                self.generator.set_state(state[name])
            else:
                tensor.copy_(state[name])
