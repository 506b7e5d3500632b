"""A pass of a layer as a list of operations on fixed memory, which can be repeated without being planned again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

Move = Callable[[], object]
"""One operation on fixed memory."""

Allocate = Callable[[str, tuple[int, ...], Tensor], Tensor]
"""Returns memory by name and shape, with the dtype and device of a tensor: a layer's ``empty`` or ``scratch``."""

Memory = Callable[[tuple[int, ...]], Tensor]
"""Returns memory for sums in one direction, (N, H, W, products, C), in the memory order of the layer."""

Result = TypeVar("Result", bound=Tensor | None, covariant=True)


class Pass(NamedTuple, Generic[Result]):
    """One pass of a layer.

    Attributes:
        moves: its operations, in order.
        result: the tensor that it returns, which the moves fill; None for an input gradient that is not needed.
        kept: the tensors of a forward pass that the backward pass needs.
    """

    moves: list[Move]
    result: Result
    kept: tuple[Tensor, ...] = ()
