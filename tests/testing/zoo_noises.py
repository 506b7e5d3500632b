"""Noises with a single mistake each."""

from __future__ import annotations

import torch
from torch import Tensor
from zoo_building import Noise_

from layerkit.contracts.noise import Noise


class Additive(Noise_, Noise):
    """Adds normal numbers; right."""

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source + 0.1 * torch.randn(source.shape, generator=generator, dtype=source.dtype)


class InDoublePrecision(Additive):
    """Returns float64 whatever the source."""

    caught_by = "noise_keeps_shape_and_dtype"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(source, generator).double()


class AddedInPlace(Additive):
    """Adds to the source itself."""

    caught_by = "noise_leaves_its_source"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source.add_(0.1 * torch.randn(source.shape, generator=generator, dtype=source.dtype)).clone()


class DrawnIntoABuffer(Additive):
    """Returns the same memory at every draw."""

    caught_by = "noise_leaves_its_source"
    buffer: Tensor | None = None

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        if self.buffer is None or self.buffer.shape != source.shape or self.buffer.dtype != source.dtype:
            self.buffer = torch.empty_like(source)
        return self.buffer.copy_(super().draw(source, generator))


class FromTheGlobalGenerator(Additive):
    """Draws from torch's global random generator."""

    caught_by = "noise_comes_from_its_generator"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source + 0.1 * torch.randn(source.shape, dtype=source.dtype)


class NotTheSameTwice(Additive):
    """Grows stronger with every draw."""

    caught_by = "noise_comes_from_its_generator"
    draws = 0

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        self.draws += 1
        return source + (super().draw(source, generator) - source) * self.draws


class OneNoiseForTheBatch(Additive):
    """All pictures of a batch get the same noise."""

    caught_by = "draws_differ"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source + 0.1 * torch.randn(source.shape[1:], generator=generator, dtype=source.dtype)


class NeighboursGoTogether(Additive):
    """Each picture of a batch gets half of its neighbour's noise besides."""

    caught_by = "draws_are_independent"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        noise = 0.1 * torch.randn(source.shape, generator=generator, dtype=source.dtype)
        return source + noise + (noise.roll(1, 0) if len(source) > 1 else 0)


class CleanTargets(Additive):
    """Its target is the source."""

    caught_by = "targets_are_draws"

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source.clone()


class HolesNotDeclared(Additive):
    """Dark values of a target are unknown, which is not declared."""

    caught_by = "targets_are_draws"

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        drawn = self.draw(source, generator)
        return drawn.masked_fill(drawn < 0.3, torch.nan)


class NothingIsUnknown(Additive):
    """Is declared to mark unknown values, and knows them all."""

    caught_by = "declared_masks"
    masks_targets = True


class BrightHoles(Additive):
    """Its brightest values are unknown, so that what is known is too dark, and is declared unbiased."""

    caught_by = "undeclared_bias"
    masks_targets = True

    def target(self, source: Tensor, generator: torch.Generator) -> Tensor:
        drawn = self.draw(source, generator)
        return drawn.masked_fill(drawn > source + 0.1, torch.nan)


class Brightens(Additive):
    """Has a mean of its own and is declared unbiased."""

    caught_by = "undeclared_bias"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(source, generator) + 0.05


class ClippedButUnbiased(Additive):
    """Clips to the range of a picture, which moves the mean near black and white, and is declared unbiased."""

    caught_by = "undeclared_bias"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return (source + 0.5 * torch.randn(source.shape, generator=generator, dtype=source.dtype)).clamp(0, 1)


class DeclaredBiasedButIsNot(Additive):
    """Is declared biased, and is not."""

    caught_by = "declared_bias"
    unbiased = False


class ContiguousSourcesOnly(Additive):
    """Reads its source as flat memory."""

    caught_by = "noise_takes_any_layout"

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        flat = source.as_strided((source.numel(),), (1,)).reshape(source.shape) if source.numel() else source
        return super().draw(flat, generator)
