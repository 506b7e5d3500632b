"""The ways in which the same numbers may lie in memory."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def transposed(value: Tensor) -> Tensor:
    """Return the value with its first and last dimension exchanged in memory."""
    return value.transpose(0, -1).contiguous().transpose(0, -1)


def swapped(value: Tensor) -> Tensor:
    """Return the value with its last two dimensions exchanged in memory."""
    return value.transpose(-1, -2).contiguous().transpose(-1, -2)


def channels_last(value: Tensor) -> Tensor:
    """Return the value with dimension 1 running fastest in memory."""
    return value.movedim(1, -1).contiguous().movedim(-1, 1)


def strided(value: Tensor) -> Tensor:
    """Return the value as every second number of a larger tensor, whose other numbers are seven."""
    wide = value.new_full((*value.shape[:-1], 2 * value.shape[-1]), 7.0)
    wide[..., ::2] = value
    return wide[..., ::2]


def sliced(value: Tensor) -> Tensor:
    """Return the value as the inner part of a larger tensor, whose border is seven."""
    larger = value.new_full(tuple(size + 2 for size in value.shape), 7.0)
    inner = larger[tuple(slice(1, 1 + size) for size in value.shape)]
    inner.copy_(value)
    return inner


def expanded(value: Tensor) -> Tensor:
    """Return the first of the value's rows in place of all of them: a stride of zero."""
    return value[:1].expand_as(value)


def uniform(value: Tensor) -> Tensor:
    """Return the first number of the value everywhere, with strides of zero: what ``sum`` sends back."""
    return value.reshape(-1)[:1].reshape((1,) * value.dim()).expand_as(value) if value.numel() else value


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": transposed,
    "with the last two dimensions transposed": swapped,
    "channels-last": channels_last,
    "strided": strided,
    "sliced out of a larger tensor": sliced,
}
"""Those that keep the value."""

EXPANSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "expanded over the first dimension": expanded,
    "one number everywhere": uniform,
}
"""Those that put a part of the value in place of the whole."""

_LEAST_DIMENSIONS: dict[Callable[[Tensor], Tensor], int] = {transposed: 2, swapped: 3, channels_last: 3, uniform: 0}


def layouts_of(value: Tensor) -> list[str]:
    """Return the names of the layouts that a tensor of this shape may have, and that say something."""
    everything = LAYOUTS | EXPANSIONS
    return [name for name, lay_out in everything.items() if value.dim() >= _LEAST_DIMENSIONS.get(lay_out, 1)]
