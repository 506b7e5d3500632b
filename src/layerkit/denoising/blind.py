"""A denoiser that estimates the noise level of a picture itself, and passes it to its network.

The network has one more channel than pictures, for the noise level (:mod:`layerkit.data.levels`), so that the same
network works for all levels. It may not remove more than the estimated amount of noise
(:mod:`layerkit.denoising.budget`); the strength multiplies this amount.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import torch
from pydantic import Field
from torch import Tensor

from layerkit.checkpoints.checkpoint import Checkpoint, load
from layerkit.contracts.built import held
from layerkit.data.levels import with_level
from layerkit.data.noise_model import HARDLY_ANY, NoiseKind, NoiseModel, estimate_noise_model
from layerkit.data.pictures import Picture
from layerkit.denoising.budget import within_budget
from layerkit.denoising.denoiser import SIDE, Denoiser, Progress
from layerkit.denoising.stabilizing import Stabilizer
from layerkit.errors import UserError

PRETRAINED = files("layerkit") / "pretrained" / "pretrained.safetensors"
"""The network that comes with layerkit."""
MAX_LEVEL = 60.0
"""The largest level that is given to the network, in units of 8-bit values, close to the largest in its training."""
MAX_STRENGTH = 4.0
Strength = Annotated[float, Field(ge=0, le=MAX_STRENGTH)]
"""The factor for an estimated level."""


class Denoised(NamedTuple):
    """The result for a picture.

    Attributes:
        pixels: (C, H, W), with the dtype of the noisy picture.
        noise: the estimated noise of that; None if it is too small for an estimate.
        left: whether the picture was left unchanged, because it has hardly any noise.
    """

    pixels: Tensor
    noise: NoiseModel | None
    left: bool = False

    def __str__(self) -> str:
        found = "too small to estimate its noise" if self.noise is None else str(self.noise)
        return f"{found}; left as it is" if self.left else found


class BlindDenoiser:
    """Denoises pictures whose noise it estimates, Gaussian or Poisson, grey or in colour.

    Args:
        denoiser: the denoiser of a network whose last input channel is the noise level.
        strength: a factor for the estimated level; more than 1 removes more.
        flips: whether each picture is denoised in its eight flips and quarter turns, of which the mean is taken; it
            takes eight times as long.

    Raises:
        ArgumentError: when ``strength`` is not from 0 to 4, or an argument is something else.
        UserError: when the network takes no pictures with a level.
    """

    @held
    def __init__(self, denoiser: Denoiser, strength: Strength = 1.0, flips: bool = False) -> None:
        if denoiser.input_shape[0] not in (2, 4):
            raise UserError(
                f"the network's input has {denoiser.input_shape[0]} channels; one that is told the level of the noise "
                "has 2 or 4, the last one for the level"
            )
        self.denoiser, self.strength, self.flips = denoiser, strength, flips

    @classmethod
    def pretrained(cls, strength: float = 1.0, flips: bool = False, tile: int = SIDE) -> Self:
        """Return the denoiser that comes with layerkit; the arguments are those of the classes."""
        with as_file(PRETRAINED) as path:
            return cls.load(path, strength, flips, tile)

    @classmethod
    def load(cls, path: str | Path, strength: float = 1.0, flips: bool = False, tile: int = SIDE) -> Self:
        """Return the denoiser in a checkpoint whose network is told the level of the noise.

        Raises:
            CheckpointError: when the file is missing, damaged, or no checkpoint.
            UserError: when the network is told no level.
        """
        return cls.of(load(path), strength, flips, tile)

    @classmethod
    def of(cls, checkpoint: Checkpoint, strength: float = 1.0, flips: bool = False, tile: int = SIDE) -> Self:
        """Return the denoiser of a checkpoint that is loaded already."""
        given = checkpoint.architecture.input
        if not given.noise_level:
            raise UserError(
                f'the network "{checkpoint.architecture.name}" is told no level of the noise that could be changed: '
                'its "input" has no "noise_level"'
            )
        return cls(Denoiser(checkpoint.network, given.shape, tile), strength, flips)

    def denoise(self, picture: Picture) -> Picture:
        """Return the denoised picture, its transparency kept as it is."""
        return Picture(self.restore(picture.pixels).pixels, picture.alpha)

    def restore(self, pixels: Tensor, noise: NoiseModel | None = None, progress: Progress | None = None) -> Denoised:
        """Return a picture without its noise, and what its noise was.

        Args:
            pixels: (C, H, W), one or three channels, values from 0 to 255 as uint8 or any floats.
            noise: of the picture; None lets it be estimated.
            progress: called with the number of finished tiles and that of all tiles after each.
        """
        noise = noise or estimate_noise_model(pixels)
        level = self.strength * (noise.level if noise else 0.0)
        if noise is None or level < HARDLY_ANY:  # so little is invisible, and the details of a clean picture must stay
            return Denoised(pixels.clone(), noise, left=True)
        x = pixels.float()[None]
        if noise.kind is NoiseKind.GAUSSIAN:
            y = self._clean(x, level, progress)
        else:
            stabilizer = Stabilizer(noise.peak)
            y = stabilizer.restore(self._clean(stabilizer.stabilize(x), self.strength * stabilizer.level, progress))
        y = y[0].clamp_(0, 255)
        return Denoised(y.round_().to(pixels.dtype) if pixels.dtype == torch.uint8 else y.to(pixels.dtype), noise)

    def _clean(self, pictures: Tensor, level: float, progress: Progress | None) -> Tensor:
        """Return pictures (1, C, H, W) without Gaussian noise of this level, (1, C, H, W) floats."""
        taken = self.denoiser.input_shape[0] - 1
        batch = pictures.transpose(0, 1) if taken == 1 else pictures  # a grey network takes channel by channel
        inputs = with_level(batch.expand(-1, taken, -1, -1), min(level, MAX_LEVEL))
        answer = self._mean_over_flips(inputs, progress) if self.flips else self.denoiser.predict(inputs, progress)
        answer = answer[:, :-1]
        if batch.shape[1] < taken:  # grey, through a network for colours
            answer = answer.mean(1, keepdim=True)
        answer = within_budget(batch, answer, level)
        return answer.transpose(0, 1) if taken == 1 else answer

    def _mean_over_flips(self, inputs: Tensor, progress: Progress | None) -> Tensor:
        """Return the mean of the answers to all flips and quarter turns of the inputs, each turned back."""
        total = torch.zeros_like(inputs)
        for turned in (False, True):
            for dims in ((), (2,), (3,), (2, 3)):
                x = inputs.mT if turned else inputs
                answer = self.denoiser.predict(x.flip(dims).contiguous(), progress).flip(dims)
                total += answer.mT if turned else answer
        return total / 8
