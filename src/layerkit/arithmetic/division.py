"""How much work is done at once, on a processor and on a GPU.

A processor computes fastest on what stays in its cache, so it takes a large mini-batch in slices and a large picture in
bands and tiles, which its threads share. A GPU computes fastest on as much as its memory holds, and should never wait
for the processor, which starts its operations: it takes mini-batches and pictures whole, and several steps are started
before anyone looks at their losses.

All that depends on the kind of device is here; layers, trainers and denoisers ask, and do the same on each.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

NUMBERS_AT_ONCE = 1_000_000
"""The most numbers in the outputs of all layers for a slice of the mini-batch; more do not fit into the cache."""
NUMBERS_A_PARAMETER = 32
"""A slice may always have this many numbers for each parameter, since every slice has to read all parameters."""
NUMBERS_A_THREAD = 300_000
"""How many numbers the outputs of all layers must hold in a step for each thread.

In a shorter step two threads wait for each other as long as they work, and beside another busy program each of the many
waits may last until that one rests.
"""
BAND_NUMBERS = 2**20
"""How many numbers a band may need from input to output: more do not fit into the cache, and with fewer each operation
has too little to do."""
SIDE = 512
"""The side of tiles on a processor, in pixels. With smaller tiles the halos are a larger share of the work, and there
is less work at a time for several threads; with larger ones each channel of a layer's output takes megabytes."""
TILES = 4
"""The most tiles that a processor computes at once, because each needs memory."""

STEPS_AHEAD = 16
"""How many steps a GPU is given before their losses are looked at. To wait for it takes as long as a short step."""
MAKERS = 4
"""The threads that make training pairs for a GPU, which uses them up faster than one thread makes them."""
SHARE = 8
"""The outputs of all layers may take one part in so many of a GPU's memory: beside them lie the windows or products of
each layer, which may be several times as large, and the gradients."""
LARGEST_BAND = 2**29
"""The most numbers of a band on a GPU: a hundred times as many as keep it busy."""
ANY_MEMORY = 2**34
"""The bytes of memory of a device that does not say how much it has."""


class Division(NamedTuple):
    """How work is divided on a device.

    Attributes:
        slice_numbers: the most numbers in the outputs of all layers for a slice of a mini-batch.
        parameter_numbers: a slice may always have this many for each parameter of the network.
        thread_numbers: how many numbers in a step are worth one more thread of the processor; 0 where its threads do
            not share the work.
        band_numbers: the most numbers that a band of a picture needs from input to output.
        tile_numbers: the most numbers in the outputs of all layers for a tile; 0 where its side is ``SIDE``.
        tiles: how many tiles are computed at once.
        steps: how many steps are taken before their losses are looked at.
        makers: how many threads of the processor make training pairs meanwhile.
    """

    slice_numbers: int
    parameter_numbers: int
    thread_numbers: int
    band_numbers: int
    tile_numbers: int
    tiles: int
    steps: int
    makers: int

    @property
    def threads(self) -> int:
        """How many threads of the processor share the work."""
        return torch.get_num_threads() if self.thread_numbers else 1

    def tile_side(self, numbers_a_pixel: float) -> int:
        """Return the side of tiles, in pixels.

        Args:
            numbers_a_pixel: numbers in the outputs of all layers for each pixel of a picture.
        """
        if not self.tile_numbers:
            return SIDE
        return max(SIDE, int((self.tile_numbers / max(1.0, numbers_a_pixel)) ** 0.5))


def division_on(device: torch.device) -> Division:
    """Return how work is divided on a device."""
    if device.type == "cpu":
        return Division(NUMBERS_AT_ONCE, NUMBERS_A_PARAMETER, NUMBERS_A_THREAD, BAND_NUMBERS, 0, TILES, 1, 1)
    numbers = _memory(device) // (4 * SHARE)
    return Division(numbers, 0, 0, min(numbers, LARGEST_BAND), numbers, 1, STEPS_AHEAD, MAKERS)


def _memory(device: torch.device) -> int:
    """Return the bytes of memory of a device: all of it, free or not, so that a step is the same beside others."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return ANY_MEMORY
