"""Gradients in a few flat tensors, each summed over all processes while the backward of earlier layers is computed.

Summing many small tensors costs many times the latency of the connection; if all are summed at the end, the processors
wait for it. So the gradients of some layers lie side by side in one *bucket*, in the order in which backward computes
them, from the last layer to the first (Li et al. 2020, "PyTorch Distributed: experiences on accelerating data parallel
training", section 3.2). A bucket is ready as soon as backward is done with its last layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.distributed.group import Group, Wait

BUCKET_BYTES = 2**18
"""A bucket with this many bytes takes no more gradients."""
ALIGNED = 64
"""Every gradient begins at a multiple of this many bytes, as a separate tensor does."""


@dataclass(eq=False)
class _Bucket:
    """One flat tensor.

    Attributes:
        flat: (n,), in which the gradients lie.
        modules: whose backward it waits for.
        waiting: those of them that are not done in this pass.
    """

    flat: Tensor
    modules: frozenset[Module]
    waiting: set[Module] = field(default_factory=set)


class Buckets:
    """The gradients of a network in flat tensors: the same tensor objects as before, as views into those.

    Args:
        network: whose gradients are moved; the values they have are kept.
        bucket_bytes: a bucket with so many bytes takes no more.

    Attributes:
        flats: the flat tensors, (n,) each.
    """

    def __init__(self, network: Module, bucket_bytes: int = BUCKET_BYTES) -> None:
        self._buckets: list[_Bucket] = []
        several: list[tuple[Tensor, frozenset[Module]]] = []
        for gradient, modules in reversed(_gradients(network)):
            full = sum(other.nbytes for other, _ in several) >= bucket_bytes
            if several and (full or not _alike(several[0][0], gradient)):
                self._buckets.append(_bucket(several))
                several = []
            several.append((gradient, modules))
        if several:
            self._buckets.append(_bucket(several))
        self.flats = [bucket.flat for bucket in self._buckets]
        modules = frozenset[Module]().union(*(bucket.modules for bucket in self._buckets))
        # A single bucket is ready only at the end, so nothing has to be watched.
        self._watchers = [(module, _Watcher(self, module)) for module in modules if len(self._buckets) > 1]
        self._group: Group | None = None
        self._begun: list[Wait] = []

    @contextmanager
    def summing(self, group: Group) -> Iterator[None]:
        """Sum all gradients over the group: each bucket as soon as one forward and backward inside ``with`` is done.

        What the gradients held before counts too. They are the sums when ``with`` is left.

        Raises:
            ProcessError: when a process of the group is lost.
        """
        self._group, self._begun = group, []
        for bucket in self._buckets:
            bucket.waiting = set(bucket.modules)
        for _, watcher in self._watchers:
            watcher.calls = 0
        with watching(self._watchers):
            yield
        # Those of layers that were not called, or not by their own methods.
        for bucket in self._buckets:
            bucket.waiting.clear()
        self._begin_ready()
        for wait in self._begun:
            wait()

    def done_with(self, module: Module) -> None:
        """Note that backward is done with a module, and start the sums that only waited for it."""
        for bucket in self._buckets:
            bucket.waiting.discard(module)
        self._begin_ready()

    def _begin_ready(self) -> None:
        # In the same order in all processes, whichever is ready first: they must not sum different buckets.
        if self._group is not None:
            for bucket in self._buckets[len(self._begun) :]:
                if bucket.waiting:
                    return
                self._begun.append(self._group.begin_sum(bucket.flat))


class _Watcher:
    """Finds out when backward is done with a module: when it was called as often as forward."""

    def __init__(self, buckets: Buckets, module: Module) -> None:
        self._buckets, self._module = buckets, module
        self.calls = 0

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        """Return the module's output, and count."""
        self.calls += 1
        return method(x)

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        """Return the module's input gradient, and count back."""
        grad = method(grad_output)
        self.calls -= 1
        if self.calls == 0:
            self._buckets.done_with(self._module)
        return grad


def _gradients(network: Module) -> list[tuple[Tensor, frozenset[Module]]]:
    """Return every gradient once, with the modules whose backward may write into it, in the order of forward."""
    found: dict[int, tuple[Tensor, frozenset[Module]]] = {}

    def visit(module: Module, around: frozenset[Module]) -> None:
        here = around | {module}
        for gradient in module.gradients():
            _, others = found.get(id(gradient), (gradient, frozenset[Module]()))
            found[id(gradient)] = gradient, others | here
        for child in module.children().values():
            visit(child, around if module.leaves_gradients else here)

    visit(network, frozenset())
    return list(found.values())


def _alike(first: Tensor, second: Tensor) -> bool:
    return (first.dtype, first.device) == (second.dtype, second.device)


def _bucket(gradients: list[tuple[Tensor, frozenset[Module]]]) -> _Bucket:
    """Move gradients into one flat tensor, and return it."""
    first, _ = gradients[0]
    step = ALIGNED // first.element_size()
    sizes = [-(-_span(gradient) // step) * step for gradient, _ in gradients]
    flat = torch.zeros(sum(sizes), dtype=first.dtype, device=first.device)
    for (gradient, _), start in zip(gradients, accumulate(sizes, initial=0), strict=False):
        # In the order in memory that it has: layers keep their weights as their arithmetic wants them.
        view = flat.as_strided(gradient.shape, gradient.stride(), start)
        gradient.data = view.copy_(gradient)
    return _Bucket(flat, frozenset[Module]().union(*(modules for _, modules in gradients)))


def _span(tensor: Tensor) -> int:
    """Return how many numbers of memory a tensor reaches over."""
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
