"""An input of a checked function that is drawn; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SIZES = (3, 5, 2, 4, 7, 6)
"""Sizes of named dimensions, in the order in which the names appear; all different, so that nothing can be mistaken."""


@dataclass(frozen=True)
class Drawn:
    """A tensor to be drawn.

    Attributes:
        shape: numbers, which stay as they are, and names of sizes, such as ``("batch", 3)``; where a name appears
            again, in this or another input, the size is the same.
        low, high: the range of the values, without ``high``. Without a range floats are normally distributed.
        dtype: "float", "long" or "bool".
        needs_gradient: whether its gradient is checked; of floats only.
    """

    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None
    dtype: str = "float"
    needs_gradient: bool = True


def drawn(
    *shape: int | str,
    low: float | None = None,
    high: float | None = None,
    dtype: str = "float",
    needs_gradient: bool = True,
) -> Drawn:
    """Return an input that is drawn anew in each case; see :class:`Drawn`.

    Raises:
        ValueError: when a range is not one, or has only one end, or the dtype is another.
    """
    if dtype not in ("float", "long", "bool"):
        raise ValueError(f'the dtype of what is drawn is "float", "long" or "bool", not {dtype!r}')
    if (low is None) != (high is None) or (low is not None and high is not None and not low < high):
        raise ValueError(f"a range needs low and high, and low < high; given are low={low}, high={high}")
    if dtype == "long" and high is None:
        raise ValueError('what is drawn as "long" needs a range: low=0, high=the number of classes, for example')
    return Drawn(shape, low, high, dtype, needs_gradient and dtype == "float")
