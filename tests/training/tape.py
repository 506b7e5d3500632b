"""Records the operations of torch on a processor, as a graph of CUDA does on a GPU, and repeats them without Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class DispatchTape(TorchDispatchMode):
    """A :class:`layerkit.training.recording.Tape`.

    Refused is what waits for a value, or whose shape depends on one, and a tensor made of numbers of Python, which
    would have to be copied to a GPU.

    It sees only operations of torch, so the sums have to be computed in the plain way.
    """

    refused = (aten._local_scalar_dense.default, aten.nonzero.default, aten.lift_fresh.default)
    replays = 0

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masked = func is aten.index.Tensor and any(index is not None and index.dtype == torch.bool for index in args[1])
        if func in self.refused or masked:
            raise RuntimeError(f"{func} cannot be recorded")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def record(self, operations: Callable[[], None]) -> None:
        with self:
            operations()

    def replay(self) -> None:
        type(self).replays += 1
        for func, args, kwargs, before in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(before), _tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, list | tuple) else []
