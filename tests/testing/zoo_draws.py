"""Noises of which a few draws look right, and many do not."""

from __future__ import annotations

import torch
from torch import Tensor
from zoo_building import Noise_
from zoo_noises import Additive

from layerkit.contracts.noise import Noise


class SlightlyBright(Additive):
    """All pixels of a picture are two thousandths too bright."""

    caught_by = "no_bias_on_the_whole"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(source, generator) + 0.002


class RareFlashes(Additive):
    """One pixel in two hundred is white, which makes pictures brighter by less than a hundredth."""

    caught_by = "no_bias_on_the_whole"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        flashes = torch.rand(source.shape, generator=generator, dtype=source.dtype) < 0.005
        return super().draw(source, generator).where(~flashes, torch.ones_like(source))


class BrightInTheDark(Additive):
    """Only where a picture is nearly black is it too bright."""

    caught_by = "no_bias_on_the_whole"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(source, generator) + 0.02 * (source < 0.03)


class TargetRepeatsTheNoise(Additive):
    """The noise of a target is that of the picture drawn just before, so that the identity is learned."""

    caught_by = "input_and_target_are_independent"
    last: Tensor | None = None

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        drawn = super().draw(source, generator)
        self.last = drawn - source
        return drawn

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        fits = self.last is not None and self.last.shape == source.shape and self.last.dtype == source.dtype
        last, self.last = self.last, None
        return source + last if fits and last is not None else super().draw(source, generator)


class EverySecondIsTheFirst(Additive):
    """Every second draw is the one before with its sign turned."""

    caught_by = "input_and_target_are_independent"
    last: Tensor | None = None

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        if self.last is not None and self.last.shape == source.shape and self.last.dtype == source.dtype:
            last, self.last = self.last, None
            return source - last
        drawn = super().draw(source, generator)
        self.last = drawn - source
        return drawn


class OnlyAFewNoises(Additive):
    """Draws the number of one of 256 noises."""

    caught_by = "no_noise_twice"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        noises = []
        for _ in range(len(source)):
            number = int(torch.randint(256, (), generator=generator))
            own = torch.Generator().manual_seed(number)
            noises.append(0.1 * torch.randn(source.shape[1:], generator=own, dtype=source.dtype))
        return source + torch.stack(noises) if noises else source.clone()


class FewBeginnings(Additive):
    """A draw begins at one of 64 places of a long list of numbers."""

    caught_by = "no_noise_twice"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        own = torch.Generator().manual_seed(int(torch.randint(64, (), generator=generator)))
        return source + 0.1 * torch.randn(source.shape, generator=own, dtype=source.dtype)


class StrongerBesideBright(Additive):
    """How strong it is follows the brightest picture of the batch."""

    caught_by = "noise_of_a_picture_is_its_own"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        strength = 1 + source.amax() if source.numel() else 1.0
        return source + strength * (super().draw(source, generator) - source)


class CleanOfTheBatch(Additive):
    """Its clean picture is drawn towards the mean of the batch, and so are its draws."""

    caught_by = "noise_of_a_picture_is_its_own"

    def clean(self, source: Tensor) -> Tensor:
        return source.lerp(source.mean(0, keepdim=True), 0.1) if len(source) else source.clone()

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(self.clean(source), generator)


class Picking(Noise_, Noise):
    """One of each two by two pixels; right."""

    scale = 2
    picks_pixels = True

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        shape = source.shape[0], 1, source.shape[2] // 2, source.shape[3] // 2
        which = torch.randint(4, shape, generator=generator)
        return self.picked(self.blocks(source), which)

    def blocks(self, source: Tensor) -> Tensor:
        """Return the four pixels of each block along a last dimension."""
        return source.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).movedim(3, 4).flatten(4)

    def picked(self, blocks: Tensor, which: Tensor) -> Tensor:
        """Return one pixel of each block."""
        return blocks.gather(4, which.expand(blocks.shape[:4])[..., None])[..., 0]

    def clean(self, source: Tensor) -> Tensor:
        return self.blocks(source).mean(4)


class ChannelsPickedApart(Picking):
    """Each channel picks a pixel of its own, so that colours are mixed."""

    caught_by = "picked_pixels_are_the_sources"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        blocks = self.blocks(source)
        return self.picked(blocks, torch.randint(4, blocks.shape[:4], generator=generator))


class MeansOfTwo(Picking):
    """The mean of two pixels of each block."""

    caught_by = "picked_pixels_are_the_sources"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        first, second = super().draw(source, generator), super().draw(source, generator)
        return (first / 2 + second / 2).to(source.dtype)
