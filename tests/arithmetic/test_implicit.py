"""Convolutions by one kernel for products and sums, which Triton's interpreter runs, against their plain formula."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit.arithmetic.implicit import ImplicitProducts
from layerkit.builtin.layers.conv2d import Conv2d, plain_backward, plain_forward
from layerkit.devices import computing_in

TOLERANCE = 2e-3 if torch.cuda.is_available() else 1e-5
"""The interpreter keeps all bits of single precision, and a GPU those of TF32."""


@pytest.fixture(scope="module")
def device() -> Iterator[torch.device]:
    """Where the kernel runs, with TF32 switched on."""
    pytest.importorskip("triton")
    with pytest.MonkeyPatch.context() as patch, computing_in("tf32"):
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        yield torch.device("cuda" if torch.cuda.is_available() else "cpu")


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(deadline=None, max_examples=6)
@given(
    channels=st.tuples(st.sampled_from([1, 3, 17]), st.sampled_from([1, 5, 20])),
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    planar=st.booleans(),
    seed=st.integers(0, 99),
)
def test_both_passes_follow_the_formula(device, channels, kernel, stride, padding, dilation, planar, seed):
    generator = torch.Generator().manual_seed(seed)
    layer = Conv2d(*channels, kernel, stride, padding, dilation, generator=generator).to(device=device)
    layer.bias.copy_(torch.randn(channels[1], generator=generator))
    x = torch.randn(2, channels[0], 7, 8, generator=generator).to(device)
    x = x if planar else x.contiguous(memory_format=torch.channels_last)
    assert isinstance(layer._way_for(x), ImplicitProducts)
    y = layer.forward(x)
    grad_output = torch.randn(y.shape, generator=generator).to(device)
    layer.weight_grad.fill_(1)  # gradients are added
    grad_x = layer.backward(grad_output)
    sizes = stride, padding, dilation
    expected = plain_backward(grad_output.double(), x.double(), layer.weight.double(), *sizes)
    given_ = y, grad_x, layer.weight_grad - 1, layer.bias_grad
    wanted = plain_forward(x.double(), layer.weight.double(), layer.bias.double(), *sizes), *expected
    for ours, theirs in zip(given_, wanted, strict=True):
        scale = max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=TOLERANCE * scale)


def test_it_adds_up_several_parts_and_spares_the_input_gradient(device, monkeypatch):
    monkeypatch.setattr("layerkit.arithmetic.implicit.PROGRAMS", 36)  # four for each of nine taps
    layer = Conv2d(2, 3, 3, padding=1).to(device=device)
    x, grad_output = torch.randn(3, 2, 12, 13, device=device), torch.randn(3, 3, 12, 13, device=device)
    layer.forward(x)
    layer.needs_input_grad = False
    assert layer.backward(grad_output) is None
    _, expected, _ = plain_backward(grad_output, x, layer.weight, (1, 1), (1, 1), (1, 1))
    torch.testing.assert_close(layer.weight_grad, expected, rtol=0, atol=TOLERANCE * expected.abs().max().item())


@pytest.mark.parametrize(("forwards", "backwards"), [("tf32", "float32"), ("float32", "tf32")])
def test_a_precision_that_changes_in_between_does_not_change_the_way(device, forwards, backwards):
    layer = Conv2d(2, 3, 3, padding=1).to(device=device)
    x, grad_output = torch.randn(3, 2, 12, 13, device=device), torch.randn(3, 3, 12, 13, device=device)
    with computing_in(forwards):
        layer.forward(x)
    with computing_in(backwards):
        grad_x = layer.backward(grad_output)
    expected = plain_backward(grad_output, x, layer.weight, (1, 1), (1, 1), (1, 1))
    for ours, theirs in zip((grad_x, layer.weight_grad), expected, strict=False):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE * theirs.abs().max().item())


def test_it_is_used_with_tensor_cores_only(device):
    layer, x = Conv2d(2, 3, 3).to(device=device), torch.randn(1, 2, 8, 8, device=device)
    way = layer._implicit
    assert way.suits(x)
    assert not way.suits(x.double())
    assert not way.suits(x[:0])
    assert not way.suits(x.to("meta"))
    with computing_in("float32"):
        assert not way.suits(x)
