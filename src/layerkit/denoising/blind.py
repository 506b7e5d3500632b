"""A denoiser that estimates the noise level of a picture itself, and passes it to its network.

The network has one more channel than pictures, for the noise level (:mod:`layerkit.data.levels`), so that the same
network works for all levels. It may not remove more than the estimated amount of noise
(:mod:`layerkit.denoising.budget`); the strength multiplies this amount. Its result is then improved by comparing
windows that look alike (:mod:`layerkit.denoising.collaborative`).
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, NamedTuple, Self, overload

import torch
from pydantic import Field
from torch import Tensor

from layerkit.arithmetic.division import division_on
from layerkit.checkpoints.checkpoint import Checkpoint, load
from layerkit.contracts.built import held
from layerkit.data.arrays import Array, Given, each_picture
from layerkit.data.levels import with_level
from layerkit.data.noise_model import HARDLY_ANY, NoiseKind, NoiseModel, estimate_noise_model
from layerkit.data.pictures import Picture, Scale
from layerkit.data.pictures.scale import usual
from layerkit.denoising import budget
from layerkit.denoising.collaborative import REACH, STEP, collaborative
from layerkit.denoising.denoiser import Denoiser, Progress
from layerkit.denoising.geometry import Span
from layerkit.denoising.shared_tiles import Share, Unshared
from layerkit.denoising.stabilizing import Stabilizer
from layerkit.denoising.together import each
from layerkit.devices import AUTO, device_named
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
        scale: the values that were taken for black and white.
    """

    pixels: Tensor
    noise: NoiseModel | None
    left: bool = False
    scale: Scale = Scale()

    def __str__(self) -> str:
        found = "too small to estimate its noise" if self.noise is None else str(self.noise)
        if self.noise is not None and not self.scale.closed:
            found += f", {self.scale}"
        return f"{found}; left as it is" if self.left else found


class BlindDenoiser:
    """Denoises pictures whose noise it estimates, Gaussian or Poisson, grey or in colour.

    Args:
        denoiser: the denoiser of a network whose last input channel is the noise level.
        strength: a factor for the estimated level; more than 1 removes more.
        flips: whether each picture is denoised in its eight flips and quarter turns, of which the mean is taken; it
            takes eight times as long.

    Attributes:
        share: which tiles are worked on here, and how the others are come by; all of them are, at first.

    Raises:
        ArgumentError: when ``strength`` is not from 0 to 4, or an argument is something else.
        UserError: when the network takes no pictures with a level.
    """

    share: Share = Unshared()

    @held
    def __init__(self, denoiser: Denoiser, strength: Strength = 1.0, flips: bool = False) -> None:
        if denoiser.input_shape[0] not in (2, 4):
            raise UserError(
                f"the network's input has {denoiser.input_shape[0]} channels; one that is told the level of the noise "
                "has 2 or 4, the last one for the level"
            )
        self.denoiser, self.strength, self.flips = denoiser, strength, flips

    @classmethod
    def pretrained(
        cls, strength: float = 1.0, flips: bool = False, tile: int | None = None, device: str | torch.device = AUTO
    ) -> Self:
        """Return the denoiser that comes with layerkit; the arguments are those of :meth:`load`."""
        with as_file(PRETRAINED) as path:
            return cls.load(path, strength, flips, tile, device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        strength: float = 1.0,
        flips: bool = False,
        tile: int | None = None,
        device: str | torch.device = AUTO,
    ) -> Self:
        """Return the denoiser in a checkpoint whose network is told the level of the noise.

        Args:
            path: the checkpoint.
            strength, flips: as the class takes them.
            tile, device: as :meth:`layerkit.denoising.denoiser.Denoiser.load` takes them.

        Raises:
            CheckpointError: when the file is missing, damaged, or no checkpoint.
            UserError: when the network is told no level, or there is no such device.
        """
        return cls.of(load(path, device=device_named(device)), strength, flips, tile)

    @classmethod
    def of(cls, checkpoint: Checkpoint, strength: float = 1.0, flips: bool = False, tile: int | None = None) -> Self:
        """Return the denoiser of a checkpoint that is loaded already."""
        given = checkpoint.architecture.input
        if not given.noise_level:
            raise UserError(
                f'the network "{checkpoint.architecture.name}" is told no level of the noise that could be changed: '
                'its "input" has no "noise_level"'
            )
        return cls(Denoiser(checkpoint.network, given.shape, tile), strength, flips)

    @overload
    def denoise(self, picture: Picture) -> Picture: ...

    @overload
    def denoise(self, picture: Given) -> Given: ...

    def denoise(self, picture: Picture | Array) -> Picture | Array:
        """Return the denoised picture or pictures, of the same kind and dtype, their transparency kept as it is.

        Args:
            picture: a picture, or a tensor or numpy array of one or more: (H, W), (H, W, C), (C, H, W), (N, H, W),
                (N, H, W, C) or (N, C, H, W), C being 1 or 3, or, as the last of the axes, 4 with transparency. The
                values are those of :meth:`restore`.

        Raises:
            ShapeError: when the shape is another, or the network cannot take pictures of this size.
            DataError: when values are of another kind, or not finite.
            RunError: when the network's answer is not finite.
        """
        if not isinstance(picture, Picture):
            return each_picture(picture, self.denoise)
        return Picture(self.restore(picture.pixels).pixels, picture.alpha)

    def restore(
        self,
        pixels: Tensor,
        noise: NoiseModel | None = None,
        progress: Progress | None = None,
        scale: Scale | None = None,
    ) -> Denoised:
        """Return a picture without its noise, and what its noise was.

        It is walked in tiles, each of which becomes floats and pixels again before the next one does.

        Args:
            pixels: (C, H, W), one or three channels. Values of uint8 go from 0 to 255. Those of uint16 go from 0 to
                65,535, and floats from 0 to 255, where that is what they evidently do; a dark picture of 16 bits, and
                floats that are all below 4 or not below 1024, have a range of their own.
            noise: of the picture, in units of 255 of its range; None lets it be estimated.
            progress: called with the number of finished tiles and that of all tiles after each.
            scale: the range; None lets it be found.

        Raises:
            ShapeError: when the network cannot take pictures of this size.
            DataError: when values are not finite.
            RunError: when the network's answer is not finite.
        """
        scale = scale or usual(pixels)
        noise = noise or estimate_noise_model(pixels, scale)
        level = self.strength * (noise.level if noise else 0.0)
        if noise is None or level < HARDLY_ANY:  # so little is invisible, and the details of a clean picture must stay
            return Denoised(pixels.clone(), noise, left=True, scale=scale)
        device = self.denoiser.geometry.number.device
        tiles = self.denoiser.tiles(pixels.shape[1], pixels.shape[2], beyond=budget.WINDOW // 2 + REACH, grid=STEP)
        output = torch.empty(pixels.shape, dtype=pixels.dtype, device=pixels.device)

        def work(tile: tuple[Span, Span]) -> None:
            rows, columns = tile
            x = scale.values(pixels[:, rows.begin : rows.end, columns.begin : columns.end].to(device))[None]
            y = self._restored(x, noise, (_near(rows), _near(columns)))[0, :, _within(rows), _within(columns)]
            output[:, rows.start : rows.stop, columns.start : columns.stop] = scale.pixels(y, pixels.dtype)

        with self.share.among(pixels, scale, noise, output, tiles) as own:
            for done in each(own, work, division_on(device).tiles):
                if progress is not None:
                    progress(done, len(own))
        return Denoised(output, noise, scale=scale)

    def _restored(self, noisy: Tensor, noise: NoiseModel, near: tuple[slice, slice]) -> Tensor:
        """Return a part of pictures (1, C, H, W) without their noise; the values of both are floats from 0 to 255."""
        # The network was not trained for values far beyond black and white, such as those of stars and broken pixels.
        x = noisy.clamp(-255, 2 * 255)
        if noise.kind is NoiseKind.GAUSSIAN:
            y = self._clean(x, self.strength * noise.level, near)
        else:
            stabilizer = Stabilizer(noise.peak)
            y = stabilizer.restore(self._clean(stabilizer.stabilize(x), self.strength * stabilizer.level, near))
        return y.add_(noisy.sub_(x)[..., *near])

    def _clean(self, pictures: Tensor, level: float, near: tuple[slice, slice]) -> Tensor:
        """Return a part of pictures (1, C, H, W) without Gaussian noise of this level, floats."""
        taken = self.denoiser.input_shape[0] - 1
        batch = pictures.transpose(0, 1) if taken == 1 else pictures  # a grey network takes channel by channel
        inputs = with_level(batch.expand(-1, taken, -1, -1), min(level, MAX_LEVEL))
        answer = self._mean_over_flips(inputs) if self.flips else self._answer(inputs)
        answer = answer[:, :-1]
        if batch.shape[1] < taken:  # grey, through a network for colours
            answer = answer.mean(1, keepdim=True)
        answer = budget.within_budget(batch, answer, level)
        # The network needs more of the picture around a tile's own pixels than the comparison of windows.
        noisy, answer = batch[..., *near], answer[..., *near]
        answer = torch.stack([collaborative(*pair, level) for pair in zip(noisy, answer, strict=True)])
        return answer.transpose(0, 1) if taken == 1 else answer

    def _answer(self, inputs: Tensor) -> Tensor:
        """Return the network's answer to a whole tile, (1, C, H, W)."""
        return self.denoiser.restore(inputs, Scale(closed=False), tile=max(inputs.shape[2:]))

    def _mean_over_flips(self, inputs: Tensor) -> Tensor:
        """Return the mean of the answers to all flips and quarter turns of the inputs, each turned back."""
        total = torch.zeros_like(inputs)
        for turned in (False, True):
            for dims in ((), (2,), (3,), (2, 3)):
                x = inputs.mT if turned else inputs
                answer = self._answer(x.flip(dims).contiguous()).flip(dims)
                total += answer.mT if turned else answer
        return total / 8


def _near(span: Span) -> slice:
    """Return the part of a tile, along one axis, that affects the tile's own pixels when windows are compared."""
    start = max(0, span.answer.start - REACH) // STEP * STEP
    return slice(start, min(span.read, span.answer.stop + REACH))


def _within(span: Span) -> slice:
    """Return where a tile's own pixels stand in that part of it."""
    start = _near(span).start
    return slice(span.answer.start - start, span.answer.stop - start)
