"""Improves a denoised picture by comparing windows that look alike: collaborative filtering.

A network sees a few dozen pixels around each. Where patterns repeat, as in bricks, tiles and fabric, there is more to
be learned: windows of 8 x 8 pixels that look alike differ mainly by their noise. This is the second step of BM3D
(Dabov, Foi, Katkovnik, Egiazarian 2007, "Image denoising by sparse 3-D transform-domain collaborative filtering",
section III-B). It needs an estimate of the picture; here that is the result of the network:

1. For each reference window, one every 4 pixels, the nearby windows that differ least from it in the estimate are
   found.
2. The group of these windows is transformed to cosines, across, down and from window to window, in the noisy picture
   (z) and in the estimate (p). Wiener's filter z p^2 / (p^2 + s^2), with s^2 the variance of the noise, keeps what is
   large.
3. The windows are transformed back and averaged where they overlap. The weight of a window is 1 / (the sum of the
   squared factors of its group), because the noise that remains is in proportion to that sum.

Colours are transformed too: cosines across red, green and blue give brightness and two colours, with as much noise as
before. Windows are compared by their brightness.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerkit.arithmetic.cosines import cosines

WINDOW = 8
"""Height and width of a window, in pixels."""
STEP = 4
"""Pixels from one reference window to the next."""
SEARCH = 10
"""How many pixels away, down and across, similar windows are searched."""
GROUP = 8
"""Windows in a group."""
ROWS = 16
"""Rows of reference windows that are filtered at once, which limits the memory."""
REACH = 2 * (SEARCH + WINDOW - 1)
"""How far away pixels may be that affect a pixel: it is in a window, found from a reference, which was compared with
others."""


def collaborative(noisy: Tensor, estimate: Tensor, level: float) -> Tensor:
    """Return a picture with less noise, (C, H, W).

    Args:
        noisy: the picture, (C, H, W).
        estimate: the picture without noise, as far as it is known, (C, H, W).
        level: the standard deviation of the noise, which must be white, in the same units.
    """
    _, height, width = noisy.shape
    colours = cosines(len(noisy)).to(noisy)
    z, p = (torch.tensordot(colours, _extended(picture), 1) for picture in (noisy, estimate))
    total, weights = torch.zeros_like(z), torch.zeros_like(z[0])
    count = (z.shape[1] - WINDOW) // STEP + 1
    for first in range(0, count, ROWS):
        rows = STEP * torch.arange(first, min(first + ROWS, count), device=z.device)
        _filter(z, p, level, _similar(p[0], rows), total, weights)
    filtered: Tensor = torch.tensordot(colours.t(), total.div_(weights), 1)
    return filtered[:, :height, :width]


def _extended(picture: Tensor) -> Tensor:
    """Return a picture (C, H, W) that windows cover to its end, continued by its last row and column."""
    down, across = (
        torch.arange(max(WINDOW, -(-length // STEP) * STEP), device=picture.device).clamp_(max=length - 1)
        for length in picture.shape[1:]
    )
    return picture[:, down[:, None], across]


def _similar(plane: Tensor, rows: Tensor) -> Tensor:
    """Return the places, (rows, columns, k, 2), of the windows that are most similar to each reference window.

    The first of them is the reference window itself. In a picture so small that there are not enough others around
    every window, all groups are smaller.

    Args:
        plane: a picture (H, W).
        rows: of the reference windows, one every few pixels.
    """
    height, width = plane.shape
    top, bottom = int(rows[0]), int(rows[-1]) + WINDOW
    around = plane.new_full((bottom - top + 2 * SEARCH, width + 2 * SEARCH), math.inf)
    above, below = max(0, top - SEARCH), min(height, bottom + SEARCH)
    around[above - top + SEARCH : below - top + SEARCH, SEARCH:-SEARCH] = plane[above:below]
    # All shifts across at once, (H, shifts, W), for each shift down.
    shifted = around.unfold(1, width, 1)
    differences = torch.stack(
        [
            _sums((shifted[down : down + bottom - top] - plane[top:bottom, None]).square_())
            for down in range(2 * SEARCH + 1)
        ]
    )
    differences[SEARCH, :, SEARCH] = -1
    # At a corner there are the fewest.
    least = (min(SEARCH, height - WINDOW) + 1) * (min(SEARCH, width - WINDOW) + 1)
    members = min(GROUP, least)
    chosen = differences.permute(1, 3, 0, 2).flatten(2).topk(members, largest=False).indices
    shifts = torch.stack([chosen // (2 * SEARCH + 1), chosen % (2 * SEARCH + 1)], -1) - SEARCH
    columns = STEP * torch.arange(chosen.shape[1], device=plane.device)
    return shifts + torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)[:, :, None]


def _sums(values: Tensor) -> Tensor:
    """Return the sum of the values (H, n, W) in each reference window, (rows, n, columns)."""
    blocks = WINDOW // STEP
    for dim in (0, 2):
        first, *others = values.unfold(dim, STEP, STEP).unbind(-1)
        sums = first.clone()
        for other in others:
            sums += other
        count = sums.shape[dim] - blocks + 1
        values = sums.narrow(dim, 0, count).clone()
        for block in range(1, blocks):
            values += sums.narrow(dim, block, count)
    return values


def _filter(z: Tensor, p: Tensor, level: float, positions: Tensor, total: Tensor, weights: Tensor) -> None:
    """Filter some groups, and add their windows to ``total`` and the weights of these to ``weights``.

    Args:
        z, p: the noisy picture and the estimate, (C, H, W).
        level: of the noise.
        positions: of the windows, (rows, columns, k, 2).
        total: the sum of windows times their weights, (C, H, W).
        weights: the sum of the weights, (H, W).
    """
    channels, members = len(z), positions.shape[2]
    top, bottom = positions[..., 0].min(), positions[..., 0].max() + WINDOW
    z, p, total, weights = (picture[..., top:bottom, :] for picture in (z, p, total, weights))
    down, across = (positions - torch.stack([top, top.new_zeros(())])).flatten(0, 1).unbind(-1)
    functions = torch.kron(cosines(WINDOW), cosines(WINDOW)).to(z)
    between = cosines(members).to(z)
    taper = torch.kaiser_window(WINDOW, periodic=False, beta=2.0).to(z)
    taper = taper[:, None] * taper

    def analysed(picture: Tensor) -> Tensor:
        windows = picture.unfold(1, WINDOW, 1).unfold(2, WINDOW, 1)[:, down, across]
        coefficients = windows.reshape(-1, WINDOW**2) @ functions.t()
        return torch.matmul(between, coefficients.view(-1, members, WINDOW**2))

    energy = analysed(p).square_()
    factor = energy.div_(energy + level**2)
    weight = factor.square().view(channels, len(down), -1).sum((0, 2)).clamp_(min=1e-3).reciprocal_()
    filtered = torch.matmul(between.t(), analysed(z).mul_(factor)).flatten(0, 1) @ (functions * taper.flatten())
    filtered = filtered.view(channels, len(down), members, -1).mul_(weight[:, None, None])
    # The windows that have one place are added up first, all of them at once; then those that overlap, pixel by pixel.
    size = z.shape[1] - WINDOW + 1, z.shape[2] - WINDOW + 1
    places = (down * size[1] + across).flatten()
    windows = z.new_zeros(size[0] * size[1], channels * WINDOW**2)
    windows.index_add_(0, places, filtered.permute(1, 2, 0, 3).flatten(2).flatten(0, 1))
    counts = z.new_zeros(len(windows)).index_add_(0, places, weight.repeat_interleave(members)).view(size)
    pixels = windows.t().contiguous().view(channels, WINDOW, WINDOW, *size)
    for i in range(WINDOW):
        for j in range(WINDOW):
            rows, columns = slice(i, i + size[0]), slice(j, j + size[1])
            total[:, rows, columns].add_(pixels[:, i, j])
            weights[rows, columns].add_(counts, alpha=float(taper[i, j]))
