"""The matrix products inside a step, replayed alone: no step that makes them can be faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = {"mm": (0, 1), "addmm": (1, 2), "addmm_": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2), "mv": (0, 1)}
"""Where the two factors stand among the arguments."""


class _Recorder(TorchDispatchMode):
    """Notes shapes and strides of the factors of every product."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[tuple[str, tuple, tuple]] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: tuple = (), named: dict | None = None) -> Any:
        name = function.overloadpacket.__name__
        if name in PRODUCTS:
            a, b = (arguments[place] for place in PRODUCTS[name])
            # Products that make kernels of weights take next to nothing, and so do empty ones.
            if a.numel() and b.numel() and _multiply_adds(a.shape, b.shape) > 20_000:
                kind = "bmm" if a.dim() == 3 else "mm"
                self.factors.append((kind, (tuple(a.shape), a.stride()), (tuple(b.shape), b.stride())))
        return function(*arguments, **(named or {}))


def _multiply_adds(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    count = b[-1]
    for size in a:
        count *= size
    return count


def products_of(step: Callable[[], object]) -> tuple[Callable[[], None], int]:
    """Return the products of ``step`` as one call, each by the fastest way there is, and their multiply-adds."""
    with _Recorder() as recorder:
        step()
    ways: dict[Any, Callable[[], object]] = {}
    for factors in recorder.factors:
        if factors not in ways:
            ways[factors] = _fastest(*factors)
    calls = [ways[factors] for factors in recorder.factors]

    def replay() -> None:
        for call in calls:
            call()

    return replay, sum(_multiply_adds(a[0], b[0]) for _, a, b in recorder.factors)


def _fastest(kind: str, a: tuple, b: tuple) -> Callable[[], object]:
    a, b = (_tensor(*layout) for layout in (a, b))
    out = torch.empty(*a.shape[:-1], b.shape[-1])
    ways: list[Callable[[], object]] = [lambda: getattr(torch, kind)(a, b, out=out)]
    if kind == "bmm" and b.stride(0) == 0 and a.is_contiguous():  # parts of one product
        rows, whole = a.flatten(0, 1), out.flatten(0, 1)
        ways.append(lambda: torch.mm(rows, b[0], out=whole))
    if kind == "mm" and hasattr(torch.ops.mkldnn, "_linear_pointwise") and a.is_contiguous():
        transposed = b.t().contiguous()
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(a, transposed, None, "none", [], ""))
    return min(ways, key=_seconds)


def _tensor(shape: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    count = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    return torch.randn(count).as_strided(shape, stride)


def _seconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)
