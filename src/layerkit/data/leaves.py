"""Dead leaves: synthetic pictures of shapes that cover one another, as objects in a scene do.

Shapes of random place, size and direction are painted over one another until the background is covered. With areas
from a power law such pictures have the statistics of photographs: edges at every scale, and a spectrum that falls like
that of natural images (Lee, Mumford, Huang 2001, "Occlusion models for natural images"). A network that is trained only
on them denoises photographs nearly as well (Achddou, Gousseau, Ladjal 2021, "Synthetic images as a regularity prior for
image restoration neural networks"). Each leaf is filled with a piece of a photograph, with a texture with a natural
spectrum, or with a colour that changes slowly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from layerkit.data.pictures import resized

LEAVES = 2000
"""The number of leaves in a picture, enough to cover it many times."""
SMALLEST, LARGEST = 0.008, 0.3
"""The smallest and the largest half length of a leaf, as a share of the picture's side."""
SUPERSAMPLING = 2
"""Pictures are painted this many times larger and then reduced, which smooths their edges."""


def dead_leaves(side: int, photographs: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Return a picture of dead leaves, uint8 (3, side, side).

    Args:
        side: height and width, in pixels.
        photographs: uint8 (3, H, W), from which colours and pieces are taken.
        generator: the source of all random numbers.
    """
    large = SUPERSAMPLING * side
    textures = [*(natural_texture(large, slope, generator) for slope in (1.0, 1.4, 1.8))]
    canvas = torch.zeros(3, large, large)
    for numbers in torch.rand(LEAVES, 14, generator=generator).tolist():
        _paint(canvas, photographs, textures, numbers)
    return resized(canvas.mul_(255).round_().clamp_(0, 255).to(torch.uint8), side, side)


def natural_texture(side: int, slope: float, generator: torch.Generator) -> Tensor:
    """Return noise whose amplitude falls with its frequency f as f^-slope, (side, side), standard deviation 1."""
    frequencies = torch.fft.fftfreq(side)[:, None].square() + torch.fft.rfftfreq(side)[None].square()
    amplitude = frequencies.clamp(min=1 / side**2).pow(-slope / 2)
    amplitude[0, 0] = 0
    waves = torch.fft.rfft2(torch.randn(side, side, generator=generator)) * amplitude
    texture: Tensor = torch.fft.irfft2(waves, (side, side))
    return texture.div_(texture.std())


def _paint(canvas: Tensor, photographs: Sequence[Tensor], textures: Sequence[Tensor], numbers: list[float]) -> None:
    """Paint one leaf as decided by 14 numbers from [0, 1)."""
    size, flatness, angle, down, right, roundness, photograph, row, column, kind, *shades = numbers
    side = canvas.shape[-1]
    # Half the length follows a power law with exponent -2, so its inverse is uniform.
    half = side / (size / LARGEST + (1 - size) / SMALLEST)
    ends = [_span(place * side, half, side) for place in (down, right)]
    (top, bottom), (left, end) = ends
    if bottom <= top or end <= left:
        return
    y = torch.arange(top, bottom, dtype=torch.float32)[:, None] - down * side
    x = torch.arange(left, end, dtype=torch.float32)[None] - right * side
    cosine, sine = math.cos(math.tau * angle), math.sin(math.tau * angle)
    along, across = (x * cosine + y * sine) / half, (y * cosine - x * sine) / (half * (0.15 + 0.85 * flatness))
    power = 2 if roundness < 0.7 else 8  # an ellipse, or a rectangle with rounded corners
    inside = along.abs().pow(power) + across.abs().pow(power) < 1
    cover = _cover(photographs, textures, (photograph, row, column, kind, shades), (top, left), along, across)
    canvas[:, top:bottom, left:end] = torch.where(inside, cover, canvas[:, top:bottom, left:end])


def _span(centre: float, half: float, side: int) -> tuple[int, int]:
    return max(0, int(centre - half)), min(side, int(centre + half) + 1)


def _cover(
    photographs: Sequence[Tensor],
    textures: Sequence[Tensor],
    chosen: tuple[float, float, float, float, list[float]],
    corner: tuple[int, int],
    along: Tensor,
    across: Tensor,
) -> Tensor:
    """Return the filling of a leaf, (3, height, width) of its bounding box, values from about 0 to 1."""
    picture, row, column, kind, (slope, first, second, strength) = chosen
    source = photographs[int(picture * len(photographs))]
    height, width = along.shape
    rows, columns = source.shape[1], source.shape[2]
    top, left = int(row * max(1, rows - height)), int(column * max(1, columns - width))
    if kind < 0.35 and height <= rows and width <= columns:
        return source[:, top : top + height, left : left + width] / 255
    colour = source[:, top, left, None, None] / 255
    slow = colour + (first - 0.5) * along * 0.4 + (second - 0.5) * across * 0.4
    if kind < 0.6:
        return slow
    texture = textures[int(slope * len(textures))]
    part = texture[corner[0] : corner[0] + height, corner[1] : corner[1] + width]
    other = source[:, int(first * rows), int(second * columns), None, None] / 255
    return slow + (other - colour) * part * strength
