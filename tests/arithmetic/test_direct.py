"""Convolutions in evaluation. That they follow the formula is tried in tests/builtin/layers/test_conv2d.py."""

from __future__ import annotations

import importlib.util
import shutil
import sysconfig
from array import array

import pytest
import torch

from layerkit import Conv2d
from layerkit.arithmetic import direct
from layerkit.arithmetic.backends import fused

BUILT = importlib.util.find_spec("layerkit.arithmetic.backends._direct") is not None
COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])


def conv(in_channels: int, out_channels: int, dtype: torch.dtype = torch.float32) -> Conv2d:
    generator = torch.Generator().manual_seed(0)
    return Conv2d(in_channels, out_channels, 3, padding=1, dtype=dtype, generator=generator).eval()


def suits(layer: Conv2d, x: torch.Tensor) -> bool:
    return direct.Direct(layer, layer.stride, layer.padding, layer.dilation).suits(x)


needs_direct = pytest.mark.skipif(
    not direct.available() and (BUILT or not COMPILER), reason="no compiled code, or it is switched off"
)


@needs_direct
def test_it_is_compiled_where_there_is_a_compiler() -> None:
    assert BUILT, "install layerkit again; the build says why it was not compiled"


@needs_direct
@pytest.mark.parametrize("channels", [(3, 32), (32, 32), (32, 24), (32, 3), (32, 44)])
def test_threads_change_no_bit(channels: tuple[int, int]) -> None:
    layer, x, before = conv(*channels), torch.randn(2, channels[0], 37, 203), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(layer(x))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])


@needs_direct
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", direct.LANE_BYTES if direct.COMPILED else ())
def test_vectors_of_each_length_follow_the_formula(
    monkeypatch: pytest.MonkeyPatch, length: int, dtype: torch.dtype
) -> None:
    for channels in ((3, 32), (16, 7), (32, 24), (32, 3), (16, 1), (32, 44), (5, 100)):
        layer, x = conv(*channels, dtype), torch.randn(2, channels[0], 9, 53, dtype=dtype)
        with monkeypatch.context() as patched:
            patched.setattr(fused, "SWITCHED_OFF", True)
            expected = conv(*channels, dtype).rectified(x)
        with monkeypatch.context() as patched:
            patched.setattr(direct, "LANE_BYTES", (length,))
            torch.testing.assert_close(layer.rectified(x), expected)


def test_long_vectors_are_used_where_they_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    shortest, longest = 32, 64
    monkeypatch.setattr(direct, "LANE_BYTES", (shortest, longest))
    numbers = longest // 4
    for channels, expected in ((numbers, longest), (numbers + 4, shortest), (3 * numbers - 4, longest), (3, shortest)):
        layer = conv(5, channels)
        made = direct.Direct(layer, layer.stride, layer.padding, layer.dilation)
        assert made.lane_bytes(torch.empty(1, 5, 8, 8)) == expected


@needs_direct
def test_it_says_what_it_is_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = conv(4, 4), torch.empty(1, 4, 8, 8)
    assert suits(layer, x)
    assert suits(conv(4, 4, torch.float64), x.double())
    assert not suits(layer, x.double())
    assert not suits(layer, x.to("meta"))
    assert not suits(conv(4, 4, torch.bfloat16), x.bfloat16())
    monkeypatch.setattr(fused, "SWITCHED_OFF", True)
    assert not suits(layer, x)


@pytest.mark.parametrize("switched_off", [False, True])
def test_what_is_no_number_stays_so_through_a_relu(monkeypatch: pytest.MonkeyPatch, switched_off: bool) -> None:
    monkeypatch.setattr(fused, "SWITCHED_OFF", switched_off)
    for channels in ((3, 32), (32, 32), (32, 3)):
        x = torch.randn(1, channels[0], 8, 40)
        x[0, 0, 4, 4] = torch.nan
        assert conv(*channels).rectified(x)[0, :, 4, 4].isnan().all()


@needs_direct
def test_a_plan_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a plan has 25 numbers"):
        direct.convolve(False, direct.LANE_BYTES[0], 0, 0, 0, 0, 0, 0, 1, array("q", [1]))
