"""Estimates the kind and the strength of the noise of a single picture, and how uncertain the estimate is.

Small patches of a picture vary in far fewer directions than they have pixels, but noise varies in all. So the smallest
eigenvalues of the covariance of the patches are the variance of the noise; the eigenvalues that belong to the noise are
the smallest ones whose mean is their median (Chen, Zhu, Heng 2015, "An efficient statistical method for image noise
level estimation", section 3). Computed for groups of patches of similar brightness, this gives the noise as a function
of brightness:

- Gaussian noise is the same everywhere;
- Poisson noise has a variance that is proportional to the brightness.

The kind that explains the groups better is chosen. Groups with values clipped at 0 or 255 show too little noise, and
are used only if there are no others. Texture can only increase the estimate, so the groups with the least noise decide.

Most JPEG files store their colours in half the size. The decoded colours have no noise at the size of pixels, however
strong the noise of the brightness is, and then the smallest eigenvalues are those of the colours. For such pictures
only the brightness is used, in larger patches. That distinguishes noise from texture less well, so an estimate that the
texture of a usual photograph would reach is not believed. The noise of brightness is a mean over the channels, and was
stronger in each of them before the picture was stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from statistics import fmean, pstdev
from typing import NamedTuple

import torch
from torch import Tensor

from layerkit.data.pictures import Scale

PATCH, BRIGHTNESS_PATCH = 5, 8
"""Height and width of a patch, and of one that has only the brightness."""
GROUPS = 8
"""The largest number of groups of similar brightness."""
PATCHES_A_GROUP = 2000
"""The fewest patches in a group, unless the picture has fewer."""
MAX_PATCHES = 60_000
"""About how many patches are used, evenly spread over the picture."""
MAX_CUT_OFF = 0.02
"""The share of values that are 0 or 255 above which a group does not count."""
HARDLY_ANY = 2.0
"""The standard deviation, in 8-bit values, below which the kind of the noise makes no difference."""
CLEARLY = 0.7
"""How much better than Gaussian noise Poisson noise must explain the groups to be chosen."""
COARSE = 0.04
"""Colours are stored in half the size if their finest differences have less than this share of brightness's energy."""
ABOVE_TEXTURE = 6.5
"""The texture of clean photographs comes to 6.3 of 255 if only the brightness is used."""
LUMA = math.sqrt(0.299**2 + 0.587**2 + 0.114**2)
"""The noise of the brightness that JPEG files store, if that of each channel is 1."""
LEAST_UNCERTAINTY = 0.03
"""The smallest uncertainty, as a share of the level."""


class NoiseKind(Enum):
    """What the noise depends on."""

    GAUSSIAN = "Gaussian"
    POISSON = "Poisson"


@dataclass(frozen=True)
class NoiseModel:
    """The noise of a picture.

    Attributes:
        kind: Gaussian or Poisson noise.
        level: its standard deviation in units of 8-bit values; for Poisson noise, where a channel is white, 255.
        uncertainty: the likely error of the level, as a share of it.
    """

    kind: NoiseKind
    level: float
    uncertainty: float

    @property
    def peak(self) -> float:
        """The mean number of photons counted where a channel is white, for Poisson noise."""
        return math.inf if self.level == 0 else (255 / self.level) ** 2

    def deviation(self, pixels: Tensor) -> Tensor:
        """Return the standard deviation of the noise in each pixel, of values from 0 to 255, in the same units."""
        if self.kind is NoiseKind.POISSON:
            return (pixels.clamp(0, 255) / 255).sqrt_().mul_(self.level)
        return torch.full_like(pixels, self.level)

    def __str__(self) -> str:
        share = f"give or take {100 * self.uncertainty:.0f} %"
        if self.level < HARDLY_ANY:
            return f"hardly any noise, about {self.level:.1f} of 255"
        if self.kind is NoiseKind.POISSON:
            return f"Poisson noise, about {self.level:.0f} of 255 in white ({self.peak:.0f} photons), {share}"
        return f"Gaussian noise, about {self.level:.0f} of 255, {share}"


class _Group(NamedTuple):
    """Patches of similar brightness: their mean, the standard deviation of their noise, and the share clipped."""

    brightness: float
    deviation: float
    cut_off: float


def estimate_noise_model(pixels: Tensor, scale: Scale | None = None) -> NoiseModel | None:
    """Return the noise of a picture; None where it is too small to tell.

    Args:
        pixels: (C, H, W), of any dtype.
        scale: what is black and white in them; by default 0 and 255.
    """
    if min(pixels.shape[1:]) < 2 * PATCH:
        return None
    scale = scale or Scale()
    patches = scale.values(_patches(pixels.cpu(), PATCH)).flatten(1, 2)
    if len(pixels) == 3 and min(pixels.shape[1:]) >= 2 * BRIGHTNESS_PATCH and _has_coarse_colours(patches):
        of_brightness = _usable(_groups(scale.values(_patches(pixels.cpu(), BRIGHTNESS_PATCH)).mean(1)))
        if _level([group.deviation for group in of_brightness])[0] >= ABOVE_TEXTURE:
            model = _model_of(of_brightness)
            return replace(model, level=model.level / LUMA)
    return _model_of(_usable(_groups(patches)))


def _usable(groups: list[_Group]) -> list[_Group]:
    """Return the groups with hardly any clipped values; if there are too few, the two with the fewest of these."""
    usable = [group for group in groups if group.cut_off < MAX_CUT_OFF]
    return usable if len(usable) >= 2 else sorted(groups, key=lambda group: group.cut_off)[:2]


def _model_of(usable: list[_Group]) -> NoiseModel:
    """Return the noise of groups of patches."""
    gaussian = [group.deviation for group in usable]
    poisson = [group.deviation * math.sqrt(255 / max(1.0, group.brightness)) for group in usable]
    level, spread = _level(gaussian)
    if level >= HARDLY_ANY:
        in_white, spread_in_white = _level(poisson)
        if spread_in_white < CLEARLY * spread:
            return NoiseModel(NoiseKind.POISSON, in_white, max(LEAST_UNCERTAINTY, spread_in_white))
    return NoiseModel(NoiseKind.GAUSSIAN, level, max(LEAST_UNCERTAINTY, spread))


def _has_coarse_colours(patches: Tensor) -> bool:
    """Return whether the colours of patches (n, C * PATCH^2) have next to nothing at the size of single pixels."""
    fine = patches.view(len(patches), -1, PATCH, PATCH).diff(dim=2).diff(dim=3)
    brightness = fine.mean(1, keepdim=True)
    return bool((fine - brightness).square().mean() < COARSE * brightness.square().mean())


def _level(deviations: list[float]) -> tuple[float, float]:
    """Return the level that the groups agree on, and how much they differ, as a share of it."""
    level = fmean(sorted(deviations)[:2])
    return level, pstdev([math.log(max(deviation, 0.1)) for deviation in deviations])


def _patches(pixels: Tensor, size: int) -> Tensor:
    """Return patches of a picture (C, H, W), (n, C, size^2)."""
    step = max(1, int(math.sqrt(pixels[0].numel() / MAX_PATCHES)))
    return pixels.unfold(1, size, step).unfold(2, size, step).permute(1, 2, 0, 3, 4).flatten(3).flatten(0, 1)


def _groups(patches: Tensor) -> list[_Group]:
    """Return groups of patches (n, d) by brightness, from dark to bright."""
    brightness = patches.mean(1)
    count = max(1, min(GROUPS, len(patches) // PATCHES_A_GROUP))
    found = []
    for members in brightness.argsort(stable=True).chunk(count):
        group = patches[members]
        cut_off = ((group <= 0) | (group >= 255)).logical_and(group == group.round()).float().mean().item()
        found.append(_Group(brightness[members].mean().item(), _noise_of(group), cut_off))
    return found


def _noise_of(patches: Tensor) -> float:
    """Return the standard deviation of the noise in patches (n, d)."""
    centred = (patches - patches.mean(0)).double()
    variances = torch.linalg.eigvalsh(centred.mT @ centred / len(patches))  # from the smallest
    for count in range(len(variances), 0, -1):
        smallest = variances[:count]
        mean = smallest.mean()
        if (smallest > mean).sum() >= (smallest < mean).sum():
            return math.sqrt(max(0.0, mean.item()))
    return 0.0
