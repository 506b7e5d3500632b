"""Compares an export with its network, on batches and sizes that it was not exported with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import Shape
from layerkit.contracts.threads import Evaluating
from layerkit.denoising.geometry import Geometry
from layerkit.errors import RunError

TOLERANCE = 1e-4
"""The largest difference that rounding can make, as a share of the largest number in the network's answer."""


def sizes_to_compare(network: Module, shape: Shape) -> list[Shape]:
    """Return shapes of inputs: the declared one, and for pictures some odd multiples of what the network takes."""
    if len(shape) != 3:
        return [shape]
    with Evaluating(network), torch.no_grad():
        kept = Geometry(network, (shape[0], shape[1], shape[2])).sizes
    if kept is None:
        return [shape]
    step, smallest = kept
    least = -(-max(smallest, 16) // step) | 1  # an odd number of steps
    return [shape, (shape[0], least * step, (least + 6) * step), (shape[0], (least + 4) * step, least * step)]


def largest_difference(network: Module, shapes: list[Shape], run: Callable[[Tensor], Tensor], what: str) -> float:
    """Return the largest difference between the network's answers and those of an export.

    Args:
        network: that was exported.
        shapes: of inputs; each is given to both one at a time and three at a time.
        run: the export, which has been loaded again.
        what: the export, for messages.

    Raises:
        RunError: when it is more than rounding can make.
    """
    generator, largest = torch.Generator().manual_seed(0), 0.0
    for shape in shapes:
        for count in (1, 3):
            x = torch.rand(count, *shape, generator=generator)
            with Evaluating(network), torch.no_grad():
                expected = network(x)
            found = run(x)
            if found.shape != expected.shape:
                raise RunError(f"{what} makes {tuple(found.shape)} of {tuple(x.shape)}, not {tuple(expected.shape)}")
            difference = (found - expected).abs().max().item() if found.numel() else 0.0
            if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
                raise RunError(f"{what} does not compute what the network does: answers differ by {difference:.2g}")
            largest = max(largest, difference)
    return largest
