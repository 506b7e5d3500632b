"""The base class of layers that contain a sequence of layers."""

from __future__ import annotations

from layerkit.builtin.layers.sequential import Sequential
from layerkit.contracts.module import Module


class Container(Module):
    """A layer that contains a sequence of other layers.

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
