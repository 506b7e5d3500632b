from __future__ import annotations

import pytest
import torch
from layerkit import ShapeError
from torch import nn

from layerkit_normalization import BatchNorm2d, Dropout, GroupNorm
from layerkit_normalization.batch_norm2d import BatchNorm2dSpec
from layerkit_normalization.dropout import DropoutSpec
from layerkit_normalization.group_norm import GroupNormSpec

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
PAIRS = {
    "batch_norm2d": (BatchNorm2d, nn.BatchNorm2d, (6,)),
    "batch_norm2d without affine": (BatchNorm2d, nn.BatchNorm2d, (6, 1e-3, 0.3, False)),
    "group_norm": (GroupNorm, nn.GroupNorm, (3, 6)),
    "group_norm of one group": (GroupNorm, nn.GroupNorm, (1, 6)),
    "group_norm without affine": (GroupNorm, nn.GroupNorm, (3, 6, 1e-3, False)),
}


@DTYPES
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (1, 6, 2, 2), (2, 6, 1, 2)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gives_what_torch_gives(name, shape, dtype, layout):
    own_class, other_class, arguments = PAIRS[name]
    own, other = own_class(*arguments).to(dtype=dtype), other_class(*arguments).to(dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    for (weight, _), parameter in zip(own.param(), other.parameters(), strict=True):
        weight.normal_(generator=generator)
        parameter.data.copy_(weight)
    for _ in range(3):
        x = (torch.randn(shape, dtype=dtype, generator=generator) * 2 + 1).contiguous(memory_format=layout)
        grad_output = torch.randn(shape, dtype=dtype, generator=generator)
        leaf = x.clone().requires_grad_()
        own.zero_grad()
        other.zero_grad(set_to_none=True)
        expected = other(leaf)
        expected.backward(grad_output)
        close = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-7, "atol": 1e-9}
        torch.testing.assert_close(own(x), expected.detach(), **close)
        torch.testing.assert_close(own.backward(grad_output), leaf.grad, **close)
        for (_, gradient), parameter in zip(own.param(), other.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad, **close)
    for name, buffer in own.state_dict().items():
        torch.testing.assert_close(buffer, other.state_dict()[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(own.eval()(x), other.eval()(x).detach(), **close)


def test_batch_norm_leaves_its_statistics_alone_without_samples():
    layer = BatchNorm2d(3)
    y = layer(torch.zeros(0, 3, 2, 2))
    assert y.shape == (0, 3, 2, 2) and layer.backward(y).shape == y.shape
    assert layer.running_mean.eq(0).all() and layer.running_var.eq(1).all()
    assert layer.weight_grad.isfinite().all() and layer.bias_grad.isfinite().all()


def test_batch_norm_stays_exact_far_from_zero():
    x = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0)) + 1000
    torch.testing.assert_close(
        BatchNorm2d(2)(x).double(), nn.BatchNorm2d(2).double()(x.double()).detach(), rtol=0, atol=1e-3
    )


def test_errors_say_what_fits():
    for refused in (
        lambda: BatchNorm2d(3)(torch.zeros(1, 3, 1, 1)),
        lambda: BatchNorm2dSpec(type="batch_norm2d").output_shape((3, 1, 1)),
    ):
        with pytest.raises(ShapeError, match=r"needs pictures of more than one pixel, .* or use group_norm"):
            refused()
    with pytest.raises(ShapeError, match=r"BatchNorm2d: expected an input of \(N, 3, H, W\), not \(1, 4, 2, 2\)"):
        BatchNorm2d(3)(torch.zeros(1, 4, 2, 2))
    with pytest.raises(
        ShapeError, match="num_groups 4 does not divide 6 channels; use 3, or another number of channels"
    ):
        GroupNorm(4, 6)
    with pytest.raises(ShapeError, match="a group of one value is always normalized to zero; use fewer groups"):
        GroupNormSpec(type="group_norm", num_groups=3).output_shape((3, 1, 1))


@DTYPES
def test_dropout_keeps_the_mean_and_uses_one_mask_for_both_passes(dtype):
    layer = DropoutSpec(type="dropout", p=0.2).build((1,), torch.Generator().manual_seed(0))
    x = torch.ones(200, 500, dtype=dtype)
    y = layer(x)
    assert y.eq(0).double().mean().item() == pytest.approx(0.2, abs=0.01)
    assert y.double().mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(layer.backward(x), y)
    assert not torch.equal(layer(x), y)
    assert torch.equal(layer.eval()(x), x)


def test_dropout_goes_on_where_it_was_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    layer, other = (DropoutSpec(type="dropout").build((1,), torch.Generator().manual_seed(seed)) for seed in (0, 1))
    x = torch.ones(4, 50)
    layer(x)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), other(x))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_without_a_generator_uses_the_default_one():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = Dropout(0.5)(torch.ones(3, 30))
        torch.manual_seed(0)
        assert torch.equal(Dropout(0.5)(torch.ones(3, 30)), first)
