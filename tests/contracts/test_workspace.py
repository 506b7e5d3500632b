from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import (
    MSE,
    SGD,
    Conv2d,
    Module,
    NearestUpsampling,
    ReLU,
    Sequential,
    Sigmoid,
    Trainer,
    Upsampling,
)
from layerkit.arithmetic import direct, division
from layerkit.builtin.layers.avg_pool2d import AvgPool2d
from layerkit.builtin.layers.max_pool2d import MaxPool2d
from layerkit.builtin.layers.residual import Residual
from layerkit.builtin.layers.skip import Skip
from layerkit.builtin.layers.transposed_conv2d import TransposedConv2d
from layerkit.contracts.workspace import Workspace


def test_the_same_memory_is_handed_out_again():
    like, owner, other = torch.zeros(1), object(), object()
    workspace = Workspace([owner, other])
    first = workspace.empty(owner, "y", (2, 3), like)
    assert workspace.empty(owner, "y", (2, 3), like).data_ptr() == first.data_ptr()
    assert workspace.empty(owner, "x", (2, 3), like).data_ptr() != first.data_ptr()
    assert workspace.empty(other, "y", (2, 3), like).data_ptr() != first.data_ptr()
    assert workspace.empty(owner, "y", (2, 4), like).shape == (2, 4)
    assert workspace.empty(owner, "y", (2, 4), like.double()).dtype == torch.float64


def test_scratch_memory_is_common():
    like, first, second = torch.zeros(1), object(), object()
    workspace = Workspace([first, second])
    large = workspace.scratch(first, "products", (4, 5), like)
    assert workspace.scratch(second, "products", (4, 5), like) is large
    assert workspace.scratch(first, "products", (3, 2), like).data_ptr() == large.data_ptr()
    assert workspace.scratch(first, "sums", (3, 2), like).data_ptr() != large.data_ptr()
    assert workspace.scratch(first, "products", (3, 2), like.double()).dtype == torch.float64
    larger = workspace.scratch(first, "products", (40, 5), like)
    assert workspace.scratch(first, "products", (4, 5), like).data_ptr() == larger.data_ptr() != large.data_ptr()


def test_a_tensor_like_another_lies_in_memory_like_it():
    owner = object()
    workspace = Workspace([owner])
    x = torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    first = workspace.empty_like(owner, "y", x)
    assert first.stride() == x.stride()
    assert workspace.empty_like(owner, "y", x) is first
    assert workspace.empty_like(owner, "y", x.contiguous()).stride() == x.contiguous().stride()


@pytest.mark.parametrize("other", [torch.zeros(2, device="meta"), torch.zeros(2, dtype=torch.float64), torch.zeros(3)])
def test_memory_is_not_used_again_for_another_device_dtype_or_shape(other):
    owner = object()
    workspace = Workspace([owner])
    for like in (torch.zeros(2), other):
        for tensor in (
            workspace.empty(owner, "y", like.shape, like),
            workspace.empty_like(owner, "x", like),
            workspace.scratch(owner, "s", like.shape, like),
        ):
            assert (tensor.device, tensor.dtype, tensor.shape) == (like.device, like.dtype, like.shape)


def test_plans_are_kept_for_the_same_memory():
    owner, made = object(), []
    workspace = Workspace([owner])
    x, other = torch.zeros(3), torch.zeros(3)

    def make():
        made.append(1)
        return []

    workspace.plan(owner, "sum", (x,), make)
    workspace.plan(owner, "sum", (x.view(3),), make)
    assert len(made) == 1
    workspace.plan(owner, "sum", (other,), make)
    workspace.plan(owner, "sum", (other[:2],), make)
    workspace.plan(owner, "sum", (other[:2].view(torch.int32),), make)
    assert len(made) == 4


def test_memory_is_lent_only_inside_with():
    layer = ReLU()
    workspace = Workspace([layer])
    x = torch.randn(2, 3)
    outside = layer.forward(x)
    with workspace:
        inside = layer.forward(x)
        assert layer.forward(-x).data_ptr() == inside.data_ptr() != outside.data_ptr()
    assert torch.equal(layer.forward(x), outside)
    assert layer.forward(x).data_ptr() not in (inside.data_ptr(), outside.data_ptr())


def test_whoever_it_was_not_made_for_gets_new_memory():
    owner, stranger, made = object(), object(), []
    workspace, like = Workspace([owner]), torch.zeros(2, 3)
    for lend in (
        lambda: workspace.empty(stranger, "y", (2, 3), like),
        lambda: workspace.empty_like(stranger, "y", like),
        lambda: workspace.scratch(stranger, "y", (2, 3), like),
    ):
        assert len({tensor.data_ptr() for tensor in (lend(), like, workspace.scratch(owner, "y", (2, 3), like))}) == 3
        held, other = lend(), lend()
        assert held.data_ptr() != other.data_ptr() and held.shape == (2, 3)
    for _ in range(2):
        workspace.plan(stranger, "sum", (like,), lambda: made.append(1) or [])
    assert len(made) == 2


def test_a_network_that_is_called_on_the_way_gets_none():
    layer, stranger = ReLU(), ReLU()
    x = torch.randn(2, 3)
    with Workspace([layer]):
        held = stranger.forward(x)
        assert stranger.forward(-x).data_ptr() != held.data_ptr()
        assert layer.forward(x).data_ptr() == layer.forward(-x).data_ptr()


def test_a_workspace_inside_another_takes_its_place_for_a_while():
    layer, x = ReLU(), torch.randn(2, 3)
    outer, inner = Workspace([layer]), Workspace([layer])
    with outer:
        first = layer.forward(x)
        with pytest.raises(RuntimeError), inner:
            second = layer.forward(x)
            with inner:
                assert layer.forward(x).data_ptr() == second.data_ptr() != first.data_ptr()
            assert layer.forward(x).data_ptr() == second.data_ptr()
            raise RuntimeError
        assert layer.forward(x).data_ptr() == first.data_ptr()
    assert layer.forward(x).data_ptr() not in (first.data_ptr(), second.data_ptr())


NETWORKS = {
    "table1": lambda: [Conv2d(3, 20, 2, 2), ReLU(), Upsampling(20, 18), ReLU(), Upsampling(18, 3), Sigmoid()],
    "dncnn": lambda: [
        Residual(Conv2d(3, 16, 3, padding=1), ReLU(), Conv2d(16, 17, 3, padding=1), Conv2d(17, 3, 3, 1, 1))
    ],
    "unet": lambda: [
        Conv2d(3, 16, 3, padding=1),
        AvgPool2d(3, 1, 1),
        MaxPool2d(3, 1, 1),
        Skip(MaxPool2d(2), Conv2d(16, 18, 3, padding=1), ReLU(), NearestUpsampling(2)),
        Conv2d(34, 16, 3, padding=1),
        TransposedConv2d(16, 4, 3, padding=1),
    ],
    "odd": lambda: [
        Conv2d(3, 16, 3),
        Conv2d(16, 16, 3, padding=(0, 2)),
        Conv2d(16, 16, 1, padding=1),
        Conv2d(16, 16, 1, padding=1),
        Conv2d(16, 5, (1, 3), dilation=2),
        ReLU(),
    ],
}


def network_named(name: str) -> Sequential:
    torch.manual_seed(7)
    return Sequential(*NETWORKS[name]())


def plain_gradients(network: Module, x: torch.Tensor, target: torch.Tensor) -> tuple[float, list[torch.Tensor]]:
    """Return loss and gradients, computed with no workspace in one piece."""
    loss = MSE()
    value = loss(network.forward(x), target)
    network.zero_grad()
    network.backward(loss.backward())
    return value.item(), [grad.clone() for _, grad in network.param()]


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    batches=st.lists(st.tuples(st.integers(1, 5), st.sampled_from([8, 12])), min_size=1, max_size=5),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    at_once=st.sampled_from([1, 20_000, 10**9]),
    seed=st.integers(0, 99),
)
def test_steps_in_a_workspace_and_in_slices_are_those_without(name, batches, dtype, at_once, seed):
    own, plain = (network_named(name).to(dtype=dtype) for _ in range(2))
    generator = torch.Generator().manual_seed(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(division, "NUMBERS_AT_ONCE", at_once)
        patch.setattr(division, "NUMBERS_A_PARAMETER", 0)
        trainer = Trainer(own, MSE(), SGD(own.param(), lr=0.0))
        for n, side in batches:
            x = torch.rand(n, 3, side, side, generator=generator, dtype=dtype)
            target = torch.rand(plain.forward(x).shape, generator=generator, dtype=dtype)
            value = trainer.step(x, target)
            expected, gradients = plain_gradients(plain, x, target)
            tolerance = 1e-12 if dtype == torch.float64 else 1e-5
            assert value == pytest.approx(expected, rel=10 * tolerance)
            for (_, gradient), wanted in zip(own.param(), gradients, strict=True):
                assert torch.allclose(gradient, wanted, rtol=0, atol=tolerance * max(1.0, wanted.abs().max().item()))


def test_the_dtype_may_change_between_steps():
    network = network_named("dncnn")
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.0))
    x = torch.rand(2, 3, 8, 8)
    losses = []
    for dtype in (torch.float32, torch.float64, torch.float32):
        network.to(dtype=dtype)
        losses.append(trainer.step(x.to(dtype), 1 - x.to(dtype)))
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_what_a_user_holds_is_never_overwritten():
    network = network_named("unet")
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.01))
    x, other = torch.rand(2, 2, 3, 8, 8)
    target = torch.zeros_like(network.forward(x))
    trainer.step(x, target)
    held = network.forward(x)
    grad = torch.rand_like(held)
    held_grad = network.backward(grad)
    copies = [tensor.clone() for tensor in (held, held_grad, x, grad)]
    trainer.step(other, target)
    network.backward(torch.ones_like(network.forward(other)))
    for tensor, copy in zip((held, held_grad, x, grad), copies, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_nothing_grows_over_many_steps(name):
    network = network_named(name)
    trainer = Trainer(network, MSE(), SGD(network.param(), lr=0.0))
    batches = [torch.rand(n, 3, 8, 8) for n in (3, 3, 2)]
    targets = [torch.zeros_like(network.forward(x)) for x in batches]

    def count() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    counts = []
    for step in range(200):
        trainer.step(batches[step % 3], targets[step % 3])
        if step in (5, 101, 197):  # at the same place of the round
            counts.append(count())
    assert counts[0] == counts[1] == counts[2]


# Outputs in evaluation


class Same(Module):
    """The identity, which returns its very input, or a view of it."""

    def __init__(self, view: bool = False) -> None:
        super().__init__()
        self.view = view

    def forward(self, x):
        return x.transpose(2, 3).transpose(2, 3) if self.view else x

    def backward(self, grad_output):
        return grad_output


def same_channels() -> Conv2d:
    return Conv2d(8, 8, 3, padding=1, generator=torch.Generator().manual_seed(0))


NESTED = {
    "a chain": lambda: Sequential(*(same_channels() for _ in range(6))),
    "the identity between": lambda: Sequential(*(each() for _ in range(4) for each in (same_channels, Same))),
    "views between": lambda: Sequential(
        same_channels(), Sequential(Same(True), Same(True)), same_channels(), Same(True)
    ),
    "residual": lambda: Sequential(same_channels(), Residual(same_channels(), same_channels()), same_channels()),
    "residual of the identity": lambda: Sequential(
        same_channels(), Residual(Same()), Residual(Same(True)), same_channels()
    ),
    "skip": lambda: Sequential(same_channels(), Skip(same_channels(), Same()), Conv2d(16, 8, 3), same_channels()),
    "skip of the identity": lambda: Sequential(same_channels(), Skip(Same(True)), Conv2d(16, 8, 3), same_channels()),
    "residual of the identity, held outside": lambda: Sequential(
        same_channels(), Residual(Residual(Same()), same_channels(), same_channels())
    ),
    "skip of the identity, held outside": lambda: Sequential(
        same_channels(), Residual(Skip(Same()), Conv2d(16, 8, 3, padding=1), same_channels(), same_channels())
    ),
    "deep": lambda: Residual(same_channels(), Residual(same_channels(), Residual(Same(), same_channels()), Same())),
}


@pytest.mark.parametrize("name", NESTED)
def test_outputs_that_share_memory_in_evaluation_leave_the_result(name):
    network = NESTED[name]().eval()
    workspace = Workspace([module for _, module in network.modules()])
    for size in (40, 40, 24, 56):
        x = torch.randn(1, 8, size, size)
        expected = network.forward(x)
        with workspace:
            kept = x.clone()
            assert torch.equal(network.forward(kept), expected)
            assert torch.equal(kept, x)


def test_a_deep_network_that_is_evaluated_takes_the_memory_of_two_outputs():
    places = set()

    class Conv(Conv2d):
        def forward(self, x):
            y = super().forward(x)
            places.add(y.untyped_storage().data_ptr())
            return y

    network = Sequential(*(Conv(8, 8, 3, padding=1) for _ in range(10))).eval()
    x, workspace = torch.randn(1, 8, 40, 40), Workspace([module for _, module in network.modules()])
    for _ in range(2):
        with workspace:
            network.forward(x)
    assert len(places) == (2 if direct.available() else 10)


def test_nothing_is_released_in_training_nor_without_a_workspace():
    network = Sequential(same_channels(), same_channels(), same_channels())
    x = torch.randn(1, 8, 40, 40)
    network.forward(x)
    expected = network.backward(torch.ones(1, 8, 40, 40)).clone()
    with Workspace([module for _, module in network.modules()]):
        network.forward(x)
        assert torch.equal(network.backward(torch.ones(1, 8, 40, 40)), expected)
    network.eval()
    first = network[0].forward(x)
    kept = first.clone()
    network.forward(x)
    assert torch.equal(first, kept)
