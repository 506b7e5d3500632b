"""A denoiser that needs nothing but the picture: it trains a network on each picture before it applies it.

The pairs are those of :mod:`layerkit.data.alone`. The network may not remove more than the estimated amount of noise
(:mod:`layerkit.denoising.budget`). Its result is then improved by comparing windows that look alike
(:mod:`layerkit.denoising.collaborative`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.contracts.built import held
from layerkit.data.alone import RecorruptedCrops
from layerkit.data.impulses import filled, struck
from layerkit.data.noise_model import HARDLY_ANY, NoiseKind, NoiseModel, estimate_noise_model
from layerkit.data.pictures import Picture, Scale
from layerkit.data.pictures.scale import usual
from layerkit.denoising.blind import Denoised
from layerkit.denoising.budget import within_budget
from layerkit.denoising.collaborative import REACH, STEP, collaborative
from layerkit.denoising.denoiser import Denoiser, Progress, Side
from layerkit.denoising.geometry import Span
from layerkit.denoising.stabilizing import Stabilizer
from layerkit.denoising.together import each
from layerkit.devices import AUTO, device_named
from layerkit.errors import DataError
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.loading import ALONE, load_architecture
from layerkit.training.loop import StepDone, fit
from layerkit.training.trainer import Trainer


class _Trained(NamedTuple):
    """A denoiser, and in how many steps it was trained."""

    denoiser: Denoiser
    steps: int


class DenoisedAlone(NamedTuple):
    """The result for a picture that a network was trained on.

    Attributes:
        pixels: (C, H, W), of the dtype of the noisy picture.
        noise: the estimated noise of that; None if it is too small for an estimate.
        steps: of the training; 0 where there was none, because there is no other noise than impulses.
        impulses: the share of the values that have nothing to do with the picture, and were replaced by their
            neighbours' median.
    """

    pixels: Tensor
    noise: NoiseModel | None
    steps: int
    impulses: float = 0.0

    def __str__(self) -> str:
        text = str(Denoised(self.pixels, self.noise, left=not self.steps and not self.impulses))
        if self.impulses:
            text = f"impulses in {100 * self.impulses:.0f} % of the values, beside them {text}"
        return f"{text}; learned from the picture alone in {self.steps} steps" if self.steps else text


class SinglePictureDenoiser:
    """Denoises each picture by a network that it trains on that picture and nothing else.

    Args:
        architecture: the network and how it is trained: a file, a JSON text or an architecture. By default the one of
            ``layerkit denoise --alone``, which takes pictures in grey and in colour.
        seed: of the training, instead of the architecture's; the same seed gives the same picture.
        tile: as :class:`~layerkit.denoising.denoiser.Denoiser` takes it.
        device: where the network is trained and works, see :func:`layerkit.devices.device_named`.

    Raises:
        SpecError: when the architecture is not valid.
        UserError: when it does not say how to train, or there is no such device.
        ArgumentError: when an argument is something else.
    """

    @held
    def __init__(
        self,
        architecture: str | Path | Architecture | None = None,
        seed: int | None = None,
        tile: Side | None = None,
        device: str | torch.device = AUTO,
    ) -> None:
        if isinstance(architecture, Architecture):
            architecture = architecture.to_json()
        self._overrides = {} if seed is None else {"training.seed": seed}
        self._source, self._is_default, self.tile = architecture or ALONE, architecture is None, tile
        self.device = device_named(device)
        self.architecture = load_architecture(self._source, overrides=self._overrides)
        self.architecture.trained  # noqa: B018 - refuses a network that nothing says how to train

    def denoise(self, picture: Picture) -> Picture:
        """Return the denoised picture, its transparency kept as it is."""
        return Picture(self.restore(picture.pixels).pixels, picture.alpha)

    def restore(
        self,
        pixels: Tensor,
        noise: NoiseModel | None = None,
        progress: Progress | None = None,
        scale: Scale | None = None,
    ) -> DenoisedAlone:
        """Return a picture without its noise, what its noise was, and how long a network was trained on it.

        Args:
            pixels: (C, H, W), one or three channels, values as those of
                :meth:`~layerkit.denoising.blind.BlindDenoiser.restore`.
            noise: of the picture, in units of 255 of its range; None lets it be estimated.
            progress: called with the number of finished steps and that of all steps after each.
            scale: the range; None lets it be found.

        Raises:
            DataError: when the network takes pictures of another number of channels, or values are not finite.
            DivergedError: when the training fails.
        """
        architecture = self._for_channels(len(pixels))
        scale = scale or usual(pixels)
        values, share = scale.values(pixels), 0.0
        impulses = struck(values)
        if impulses is not None:
            values, share = filled(values, impulses), impulses.float().mean().item()
        noise = noise or estimate_noise_model(values, Scale())
        if noise is None or noise.level < HARDLY_ANY:  # nobody sees so little, and training could only do harm
            left = pixels.clone() if impulses is None else scale.pixels(values, pixels.dtype)
            return DenoisedAlone(left, noise, 0, share)
        denoiser, steps = self._train(architecture, values, noise, progress)
        x = values[None]
        answer = denoiser.restore(x, Scale())
        y = within_budget(x, answer, noise.deviation(answer).square().mean(1, keepdim=True).sqrt())[0]
        y = _improved(values, y, noise, denoiser)
        return DenoisedAlone(scale.pixels(y, pixels.dtype), noise, steps, share)

    def _for_channels(self, channels: int) -> Architecture:
        """Return the architecture for pictures of so many channels."""
        own = self.architecture
        if channels == own.input.channels:
            return own
        if not self._is_default or channels not in (1, 3):
            raise DataError(
                f'the network "{own.name}" takes pictures of {own.input.channels} channels, this one has {channels}'
            )
        return load_architecture(self._source, overrides=self._overrides | {"input.channels": channels})

    def _train(
        self, architecture: Architecture, pixels: Tensor, noise: NoiseModel, progress: Progress | None
    ) -> _Trained:
        """Return a denoiser with a network that was trained on a picture (C, H, W)."""
        training, shape = architecture.trained, architecture.input.shape
        network = build(architecture, training.seed).to(device=self.device)
        schedule = training.schedule.build() if training.schedule else None
        trainer = Trainer(network, training.loss.build(), training.optimizer.build(network.param()), schedule)
        pairs = RecorruptedCrops(pixels, noise, shape, training.seed, training.samples)
        denoiser = Denoiser(network, shape, self.tile)
        done, steps = 0, training.epochs * -(-len(pairs) // training.batch_size)
        for event in fit(trainer, pairs, None, denoiser, epochs=training.epochs, batch_size=training.batch_size):
            if isinstance(event, StepDone):
                done += 1
                if progress is not None:
                    progress(done, steps)
        return _Trained(denoiser, steps)


def _improved(noisy: Tensor, denoised: Tensor, noise: NoiseModel, denoiser: Denoiser) -> Tensor:
    """Return a denoised picture (C, H, W) with less noise, made tile by tile."""
    improved = torch.empty_like(noisy)

    def work(tile: tuple[Span, Span]) -> None:
        rows, columns = tile
        place = (slice(None), slice(rows.begin, rows.end), slice(columns.begin, columns.end))
        y = _filtered(noisy[place], denoised[place], noise)
        improved[:, rows.start : rows.stop, columns.start : columns.stop] = y[:, rows.answer, columns.answer]

    _, height, width = noisy.shape
    for _ in each(denoiser.tiles(height, width, beyond=REACH, grid=STEP), work):
        pass
    return improved


def _filtered(noisy: Tensor, denoised: Tensor, noise: NoiseModel) -> Tensor:
    """Return a denoised picture (C, H, W) with less noise; the noise of the other one may depend on brightness."""
    if noise.kind is NoiseKind.GAUSSIAN:
        return collaborative(noisy, denoised, noise.level)
    stabilizer = Stabilizer(noise.peak)
    stabilized, estimate = stabilizer.stabilize(noisy), stabilizer.stabilize(denoised)
    return stabilizer.restore(collaborative(stabilized, estimate, stabilizer.level))
