"""Layers that give wrong outputs where several threads evaluate them at once, and are right otherwise."""

from __future__ import annotations

from torch import Tensor
from zoo_building import Bent, Scaled


class PassesItsInputByAttribute(Scaled):
    """Evaluation hands its input on in an attribute, and clears it before it returns."""

    caught_by = "evaluations_may_overlap"
    passing: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        self.passing = x
        scale, shift = self.scale[:, None, None], self.shift[:, None, None]
        y = self.passing * scale + shift
        self.passing = None
        return y


class PassesTheSizeByAttribute(Bent):
    """The size of the last input is an attribute, by which the output gets its shape."""

    caught_by = "evaluations_may_overlap"

    def forward(self, x: Tensor) -> Tensor:
        self.size = x.shape
        y = super().forward(x).flatten()
        return y.view(self.size)
