from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from layerkit import Conv2d, Module, ReLU, Sequential
from layerkit.builtin.layers.residual import Residual
from layerkit.distributed.buckets import ALIGNED, Buckets


class Doubling:
    """A group of two in which the other process always has the same gradients; it remembers what was summed when."""

    rank, size = 0, 2

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def begin_sum(self, tensor: Tensor) -> Callable[[], object]:
        self.log.append(f"sum {len(tensor)}")
        before = tensor.clone()
        return lambda: tensor.add_(before)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        return [tensor, tensor]

    def begin_exchange(self, numbers: Sequence[float]) -> Callable[[], list[float]]:
        return lambda: [*numbers, *numbers]


class Logged(Conv2d):
    def backward(self, grad_output):
        grad = super().backward(grad_output)
        self.log.append(f"backward {self.out_channels}")
        return grad


def logged(log: list[str], *channels: int) -> list[Module]:
    layers = [Logged(first, second, 1) for first, second in itertools.pairwise(channels)]
    for layer in layers:
        layer.log = log
    return layers


def passed(network: Module, buckets: Buckets | None, log: list[str], x: Tensor) -> list[Tensor]:
    network.zero_grad()
    log.clear()
    if buckets is None:
        network.backward(torch.ones_like(network.forward(x)))
    else:
        with buckets.summing(Doubling(log)):
            network.backward(torch.ones_like(network.forward(x)))
    return [gradient.clone() for _, gradient in network.param()]


def test_gradients_stay_the_same_objects_with_their_values():
    network = Sequential(Conv2d(3, 4, 3), ReLU(), Conv2d(4, 2, 3))
    x = torch.rand(2, 3, 8, 8)
    network.backward(torch.ones_like(network.forward(x)))
    objects = [gradient for _, gradient in network.param()]
    values = [gradient.clone() for gradient in objects]
    buckets = Buckets(network)
    assert all(after is before for (_, after), before in zip(network.param(), objects, strict=True))
    assert all(after.equal(before) for after, before in zip(objects, values, strict=True))
    assert all(gradient.data_ptr() % ALIGNED == buckets.flats[0].data_ptr() % ALIGNED for gradient in objects)
    buckets.flats[0].zero_()
    assert not any(gradient.any() for gradient in objects)


@pytest.mark.parametrize("bucket_bytes", [1, 150, 2**20])
def test_a_bucket_is_summed_while_earlier_layers_are_at_work(bucket_bytes):
    log: list[str] = []
    network = Sequential(*logged(log, 3, 4, 5, 6))
    x = torch.rand(2, 3, 4, 4)
    alone = passed(network, None, log, x)
    sums = passed(network, Buckets(network, bucket_bytes), log, x)
    assert all(total.equal(2 * gradient) for total, gradient in zip(sums, alone, strict=True))
    kinds = [line.split()[0] for line in log]
    assert kinds[-1] == "sum"
    assert kinds.count("sum") == {1: 6, 150: 2, 2**20: 1}[bucket_bytes]
    assert kinds.index("sum") == {1: 1, 150: 2, 2**20: 3}[bucket_bytes]


def test_buckets_have_one_dtype():
    network = Sequential(Conv2d(3, 4, 1), Conv2d(4, 4, 1).to(dtype=torch.float64), Conv2d(4, 4, 1))
    assert [flat.dtype for flat in Buckets(network).flats] == [torch.float32, torch.float64, torch.float32]


class Twice(Module):
    """Calls the layer inside twice."""

    def __init__(self, layer: Module) -> None:
        super().__init__()
        self.layer, self.second = layer, Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.save(x)
        y = self.layer.forward(x)
        return self.layer.forward(y) if y.shape == x.shape else y

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        grad = self.layer.backward(grad_output)
        self.layer.forward(x)
        return self.layer.backward(grad)


class Afterwards(Sequential):
    """Changes the gradients of the layers inside when all are done."""

    def backward(self, grad_output):
        grad = super().backward(grad_output)
        for _, gradient in self.param():
            gradient.mul_(3)
        return grad


@pytest.mark.parametrize("around", [Twice, Afterwards, Residual])
def test_whatever_a_container_does_nothing_is_summed_too_early(around):
    log: list[str] = []
    inside, last = logged(log, 3, 3, 3)
    network = Sequential(around(inside), last)
    x = torch.rand(2, 3, 4, 4)
    alone = passed(network, None, log, x)
    sums = passed(network, Buckets(network, 1), log, x)
    assert all(total.equal(2 * gradient) for total, gradient in zip(sums, alone, strict=True))
    assert any(gradient.any() for gradient in alone)


def test_a_step_that_fails_leaves_the_layers_as_they_were():
    log: list[str] = []
    network = Sequential(*logged(log, 3, 4))
    buckets = Buckets(network)
    with pytest.raises(ValueError, match="in the middle"), buckets.summing(Doubling(log)):
        raise ValueError("in the middle")
    assert log == []
    assert not {"forward", "backward"} & vars(network[0]).keys()
