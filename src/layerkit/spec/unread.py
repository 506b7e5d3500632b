"""What stands for a ``training`` block that cannot be read where a network is only used.

To denoise takes the packages of the layers and no others. A checkpoint whose block names an optimizer, a loss, a noise
or a schedule that no installed package provides is loaded all the same, and the block is kept as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from layerkit.contracts.noise import Noise
from layerkit.contracts.specs import NoiseSpec
from layerkit.errors import Problem, SpecError, UserError


@dataclass(frozen=True)
class UnreadTraining:
    """A ``training`` block that could not be read.

    Attributes:
        tree: the block, as plain JSON values.
        problems: why it cannot be read: each with its place and what to install or mend.
        noise: its noise, where that alone can be read.
    """

    tree: Any
    problems: tuple[Problem, ...]
    noise: NoiseSpec | None = None

    def error(self) -> SpecError:
        """Return the error for whoever needs the block."""
        return SpecError(self.problems)


class UnknownNoise(Noise):
    """Stands for a noise that nobody can draw here; data that come with noise of their own never ask for any.

    Args:
        error: what is raised when a picture is to be drawn.
    """

    def __init__(self, error: UserError) -> None:
        self.error = error

    def draw(self, source: Tensor, generator: torch.Generator) -> NoReturn:
        """Refuse to draw.

        Raises:
            UserError: always.
        """
        raise self.error

    def clean(self, source: Tensor) -> NoReturn:
        """Refuse too, since what is clean depends on the noise: some make the picture smaller.

        Raises:
            UserError: always.
        """
        raise self.error
