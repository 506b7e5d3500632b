"""Replacements for a ``training`` block that cannot be read, so that the network can still be used.

Denoising needs only the packages of the layers. A checkpoint is loaded even if its ``training`` block names an
optimizer, a loss, a noise or a schedule that no installed package provides; the block is then kept as plain data.
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
        problems: the reasons, each with its place and what to install or correct.
        noise: the noise of the block; None where that cannot be read either.
    """

    tree: Any
    problems: tuple[Problem, ...]
    noise: NoiseSpec | None = None

    def error(self) -> SpecError:
        """Return the error to raise when the block is needed."""
        return SpecError(self.problems)


class UnknownNoise(Noise):
    """Takes the place of an unknown noise; it is never called with data that already are noisy.

    Args:
        error: the error that is raised by every call.
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
        """Refuse too, since the clean picture depends on the noise: some noises make it smaller.

        Raises:
            UserError: always.
        """
        raise self.error
