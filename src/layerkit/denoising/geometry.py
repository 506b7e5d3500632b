"""Chooses the tiles of a picture from properties of the network, which are measured on the network itself.

So they are right for every layer, also for those of plugins:

- *step* and *smallest*: the network keeps the sizes that are multiples of ``step`` and at least ``smallest``.
- *grid*: shifting the picture by a multiple of ``grid`` shifts the answer. Tiles begin at such multiples.
- *reach*: how many pixels away a pixel, or the edge of a tile, affects the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.errors import ShapeError

LARGEST_STEP = 64
"""Six halvings of the picture; networks that need sizes to be multiples of more are treated as of fixed size."""
PROBE_SIDES = (128, 512)
"""Sides, in pixels, of the square pictures on which a network is measured; a third of it can be seen as reach."""


Value = TypeVar("Value")


class _Measured(Generic[Value]):
    """A property that is measured when it is first asked for, and kept.

    Threads that ask at the same time measure the same. ``functools.cached_property`` lets them wait for each other in
    Python 3.11, even where they ask about different networks.
    """

    def __init__(self, measure: Callable[[Geometry], Value]) -> None:
        self._measure, self._name, self.__doc__ = measure, measure.__name__, measure.__doc__

    def __get__(self, geometry: Geometry, owner: type[Geometry]) -> Value:
        # Kept under its own name, where it hides this.
        value: Value = vars(geometry).setdefault(self._name, self._measure(geometry))
        return value


class Sizes(NamedTuple):
    """The sizes that a network keeps, in pixels: multiples of ``step`` that are at least ``smallest``."""

    step: int
    smallest: int


class Tiling(NamedTuple):
    """How a network can be given a picture in tiles, in pixels: where they may begin, and how far it sees."""

    grid: int
    reach: int

    @property
    def halo(self) -> int:
        """Pixels that a tile reads around its own."""
        return _round_up(self.reach, self.grid)


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels: it reads ``begin`` to ``end`` and answers for ``start`` to ``stop``."""

    begin: int
    start: int
    stop: int
    end: int

    @property
    def answer(self) -> slice:
        """Where the tile's own pixels stand in the network's output."""
        return slice(self.start - self.begin, self.stop - self.begin)

    @property
    def read(self) -> int:
        """Pixels that it reads."""
        return self.end - self.begin


class Geometry:
    """The sizes and tiles that suit a network; each is measured when it is first asked for.

    The caller must put the network into evaluation mode.

    Args:
        network: maps (N, C, H, W) to the same shape for those sizes that it keeps.
        input_shape: (C, H, W) that the network was declared for; that size needs no measurement.
    """

    def __init__(self, network: Module, input_shape: tuple[int, int, int]) -> None:
        self.network = network
        self.input_shape = input_shape

    @property
    def number(self) -> Tensor:
        """A tensor of the dtype and on the device in which the network works."""
        tensors = (tensor for tensor in self.network.state_dict().values() if tensor.is_floating_point())
        return next(tensors, torch.empty(0))

    def answer(self, x: Tensor) -> Tensor:
        """Return the network's answer to pictures (N, C, H, W).

        Raises:
            ShapeError: when it has another shape than the pictures.
        """
        answer = self.network(x)
        if answer.shape != x.shape:
            raise ShapeError(
                f"the network turns {tuple(x.shape)} into {tuple(answer.shape)}; "
                "a denoiser must return pictures of the size it was given"
            )
        return answer

    def tiles(
        self, height: int, width: int, side: int, beyond: int = 0, grid: int = 1
    ) -> tuple[list[Span], list[Span]]:
        """Return the tiles of a picture along its height and along its width.

        Args:
            height, width: of the picture, in pixels.
            side: the most pixels that a tile has along one axis, without its halo, if the network can use tiles.
            beyond: how far beyond its own pixels, in pixels, the result of a tile must be right as well.
            grid: tiles begin at multiples of so many pixels, besides those of the network.

        Raises:
            ShapeError: when the network cannot take pictures of this size.
        """
        declared = (height, width) == self.input_shape[1:]
        if declared and max(height, width) <= side:
            return _whole(height), _whole(width)
        if self.sizes is None:
            if not declared:
                self.answer(self.number.new_zeros(1, *self.input_shape))  # fails if it is no denoiser at all
                raise ShapeError(
                    f"the network only takes pictures of {self.input_shape[1]}x{self.input_shape[2]}, not "
                    f"{height}x{width}; cut or resize them, or use a network without layers of fixed size"
                )
            return _whole(height), _whole(width)
        step, smallest = self.sizes
        height, width = (max(smallest, _round_up(size, step)) for size in (height, width))
        if max(height, width) <= side or self.tiling is None:
            return _whole(height), _whole(width)
        tiling = Tiling(math.lcm(self.tiling.grid, grid), self.tiling.reach + beyond)
        return spans(height, side, tiling, smallest), spans(width, side, tiling, smallest)

    # Measurements

    @_Measured
    def sizes(self) -> Sizes | None:
        """The sizes that the network keeps; None if it is of fixed size."""
        for step in range(1, LARGEST_STEP + 1):
            largest = PROBE_SIDES[0] // step * step
            # Where two neighbouring multiples are kept, whatever divides both divides the step.
            if self._keeps(largest) and self._keeps(largest - step):
                return Sizes(step, next(size for size in range(step, largest, step) if self._keeps(size)))
        return None

    def _keeps(self, side: int) -> bool:
        x = self.number.new_zeros(1, self.input_shape[0], side, side)
        try:
            return self.network(x).shape == x.shape
        except (ValueError, RuntimeError):  # ShapeError, or what torch raises inside a layer that does not check
            return False

    @_Measured
    def tiling(self) -> Tiling | None:
        """The grid and the reach; None if the network sees the whole picture, or too much of it to be worth tiles.

        They are measured on a copy in double precision. In single precision a convolution may make neighbouring outputs
        from shared sums, and then a pixel affects outputs, by rounding, where it has no weight.
        """
        if self.sizes is None:
            return None
        try:
            exact = Geometry(deepcopy(self.network).to(dtype=torch.float64), self.input_shape)
            return exact.measure_tiling(self.sizes)
        except (RuntimeError, TypeError):  # from torch: a layer, or the device, works in single precision alone
            return self.measure_tiling(self.sizes)

    def measure_tiling(self, sizes: Sizes) -> Tiling | None:
        """Return :attr:`tiling` as the network itself shows it."""
        step, smallest = sizes
        for side in PROBE_SIDES:
            for grid in (step, 2 * step, 4 * step, 8 * step):
                if grid <= LARGEST_STEP:
                    reach = self._reach(grid, _round_up(max(side, 6 * grid, smallest + 2 * grid), grid))
                    if reach is not None:
                        return Tiling(grid, reach)
        return None

    def _reach(self, grid: int, side: int) -> int | None:
        """Return how far pixels and edges affect the output; None if that is more than a third of ``side`` pixels."""
        generator = torch.Generator().manual_seed(0)
        picture = torch.rand(1, self.input_shape[0], side, side, generator=generator).to(self.number)
        whole = self.answer(picture)
        # NaN survives all arithmetic: it marks whatever depends on a block of pixels, even through weights of 0.
        middle = side // 2 // grid * grid
        marked = picture.clone()
        marked[:, :, middle : middle + grid, middle : middle + grid] = torch.nan
        felt = _differing(self.answer(marked), whole)
        spread = int(torch.maximum(middle - felt, felt - (middle + grid - 1)).max()) if len(felt) else 0
        if spread >= side // 3:
            return None
        # The layers inside the network pad the edge of a tile. If the grid is right, only outputs near it change.
        inside = slice(grid, side - grid)
        felt = _differing(self.answer(picture[:, :, inside, inside]), whole[:, :, inside, inside])
        last = side - 2 * grid - 1
        depth = int(torch.minimum(felt, last - felt).amin(1).max()) + 1 if len(felt) else 0
        return max(0, spread, depth) if depth < side // 3 else None


def spans(size: int, side: int, tiling: Tiling, smallest: int) -> list[Span]:
    """Return the tiles along an axis of ``size`` pixels; each reads a halo, and ``smallest`` pixels at least.

    Where the picture ends, so does the tile: the network then pads it as it would pad the picture. All lengths but
    ``size`` are multiples of the grid.

    Args:
        size: of the picture along the axis.
        side: pixels of its own that a tile has at most; one step of the grid if that is more.
        tiling: of the network.
        smallest: pixels that the network takes.
    """
    grid, halo = tiling.grid, tiling.halo
    most, smallest = max(grid, side // grid * grid), _round_up(smallest, grid)
    core = _round_up(-(-size // -(-size // most)), grid)  # no smaller rest at the end
    tiles = []
    for start in range(0, size, core):
        stop = min(start + core, size)
        end = min(size, max(stop + halo, smallest))
        begin = max(0, min(start - halo, end - smallest)) // grid * grid
        tiles.append(Span(begin, start, stop, end))
    return tiles


UNDECLARED = 64
"""How many numbers a layer without a spec is taken to give for each pixel."""


def numbers_a_pixel(network: Module, input_shape: tuple[int, int, int]) -> float:
    """Return an estimate of the numbers in the outputs of all layers for each pixel of a picture."""
    pixels, numbers = input_shape[1] * input_shape[2], 0.0
    for _, module in network.modules():
        if not module.children():
            shapes = module.shapes()
            numbers += UNDECLARED if shapes is None else math.prod(shapes[1]) / pixels
    return numbers


def _whole(size: int) -> list[Span]:
    return [Span(0, 0, size, size)]


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _differing(first: Tensor, second: Tensor) -> Tensor:
    """Return the (row, column) of every pixel in which two pictures differ by more than rounding: (K, 2)."""
    tolerance = 100 * torch.finfo(first.dtype).eps
    return (~first.isclose(second, rtol=0, atol=tolerance)).any(1).any(0).nonzero()
