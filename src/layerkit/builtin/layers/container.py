"""What the layers around a sequence of layers share: the sequence, and who needs an input gradient."""

from __future__ import annotations

from layerkit.builtin.layers.sequential import Sequential
from layerkit.contracts.module import Module


class Container(Module):
    """A layer around others, which stand in it one after the other.

    Args:
        layers: the layers inside, first to last.
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self.layers = Sequential(*layers)

    @property
    def needs_input_grad(self) -> bool:
        return self.layers.needs_input_grad

    @needs_input_grad.setter
    def needs_input_grad(self, needed: bool) -> None:
        self.layers.needs_input_grad = needed
