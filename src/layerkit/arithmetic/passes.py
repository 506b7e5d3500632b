"""What a layer does in one pass on memory that is settled, so that it can be done again without being planned again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

Move = Callable[[], object]
"""One operation on memory that is settled."""

Allocate = Callable[[str, tuple[int, ...], Tensor], Tensor]
"""Gives memory by name and shape, of the dtype and device of a tensor: a layer's ``empty`` or ``scratch``."""

Memory = Callable[[tuple[int, ...]], Tensor]
"""Gives memory for sums in one direction, (N, H, W, products, C), in the order in which it is to lie."""

Result = TypeVar("Result", bound=Tensor | None, covariant=True)


class Pass(NamedTuple, Generic[Result]):
    """One pass of a layer.

    Attributes:
        moves: what it does, in order.
        result: the tensor that it returns, which the moves fill; None for an input gradient that nobody needs.
        kept: the tensors that the backward pass needs of a forward one.
    """

    moves: list[Move]
    result: Result
    kept: tuple[Tensor, ...] = ()
