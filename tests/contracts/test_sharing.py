"""Batch normalization of a batch that several processes share; here each is a thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from layerkit_normalization import BatchNorm2d

from layerkit.contracts.sharing import SHARED

SIZES = (3, 1, 0)
"""Samples of each process; the last batch of an epoch may have none for some."""


class Shared:
    """A batch whose processes are threads; see :class:`layerkit.contracts.sharing.SharedBatch`."""

    samples = sum(SIZES)

    def __init__(self) -> None:
        self.given = [None] * len(SIZES)
        self.barrier = Barrier(len(SIZES))

    def seen_by(self, rank: int) -> Shared:
        seen = Shared.__new__(Shared)
        seen.given, seen.barrier, seen.rank = self.given, self.barrier, rank
        return seen

    def summed(self, tensor):
        self.given[self.rank] = tensor
        self.barrier.wait()
        total = sum(self.given)
        self.barrier.wait()
        return total


@pytest.mark.parametrize("affine", [True, False])
def test_parts_of_a_batch_are_normalized_as_the_whole(affine):
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.randn(2, sum(SIZES), 5, 3, 4, generator=generator, dtype=torch.float64)
    layer = BatchNorm2d(5, affine=affine, dtype=torch.float64)
    y = layer(x)
    grad_x = layer.backward(grad)
    batch = Shared()

    def work(rank: int, x_part: torch.Tensor, grad_part: torch.Tensor):
        SHARED.set(batch.seen_by(rank))
        own = BatchNorm2d(5, affine=affine, dtype=torch.float64)
        return own(x_part), own.backward(grad_part), own

    with ThreadPoolExecutor(len(SIZES)) as threads:
        parts = list(threads.map(work, range(len(SIZES)), x.split(SIZES), grad.split(SIZES)))
    ys, grads, layers = zip(*parts, strict=True)
    torch.testing.assert_close(torch.cat(ys), y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(torch.cat(grads), grad_x, rtol=1e-12, atol=1e-13)
    for other in layers:
        torch.testing.assert_close(other.running_mean, layer.running_mean, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(other.running_var, layer.running_var, rtol=1e-13, atol=1e-13)
    if affine:
        for name in ("weight_grad", "bias_grad"):
            total = sum(getattr(other, name) for other in layers)
            torch.testing.assert_close(total, getattr(layer, name), rtol=1e-12, atol=1e-13)
