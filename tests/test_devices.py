"""The names of devices, what is refused with a sentence, and how work is divided on each kind."""

from __future__ import annotations

import pytest
import torch

from layerkit import Conv2d, Denoiser, ReLU, Sequential, devices
from layerkit.arithmetic.division import SIDE, STEPS_AHEAD, division_on
from layerkit.denoising.geometry import UNDECLARED, numbers_a_pixel
from layerkit.devices import check_precision, computing_in, described, device_named
from layerkit.errors import DeviceError

needs_none = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


@pytest.mark.parametrize("name", ["cpu", torch.device("cpu"), pytest.param("auto", marks=needs_none)])
def test_the_processor(name):
    assert device_named(name) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpu", r'^there is no device "gpu"; expected auto, cpu, cuda, cuda:N or mps$'),
        ("meta", 'there is no device "meta"; expected'),
        ("cuda:x", 'there is no device "cuda:x"; expected'),
        ("x" * 1000, 'there is no device "x{40}"; expected'),
    ],
)
def test_unknown_names(name, said):
    with pytest.raises(DeviceError, match=said):
        device_named(name)


@needs_none
@pytest.mark.parametrize("name", ["cuda", "cuda:3"])
def test_cuda_where_there_is_none(name, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match=rf'"{name}": torch \S+ was built without CUDA; take cpu or auto, or install'):
        device_named(name)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(DeviceError, match=f'"{name}": torch finds no GPU, or no driver for it; take cpu or auto$'):
        device_named(name)


@pytest.mark.parametrize(("count", "said"), [(1, "here is cuda:0; take"), (3, "here is cuda:0 to cuda:2; take")])
def test_a_number_that_is_too_large(count, said, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert device_named("cuda") == device_named("auto") == device_named("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(DeviceError, match=f'"cuda:3": {said}'):
        device_named("cuda:3")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this is a Mac with a GPU")
def test_mps_elsewhere_than_on_a_mac():
    with pytest.raises(DeviceError, match='"mps" is the GPU of a Mac, and there is none that torch can use'):
        device_named("mps")


def test_what_devices_are_called(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast One")
    assert described(torch.device("cpu")) == "cpu (2 threads)"
    assert described(torch.device("cuda:1")) == "cuda:1 (Fast One)"
    assert described(torch.device("mps")) == "mps"
    devices.wait_for(torch.device("cpu"))


def test_precision():
    check_precision("float32", torch.device("cpu"))
    check_precision("tf32", torch.device("cuda"))
    with pytest.raises(DeviceError, match="products of the precision tf32 are made by GPUs for CUDA, and cpu is none"):
        check_precision("tf32", torch.device("cpu"))
    before = torch.get_float32_matmul_precision()
    with computing_in("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    with computing_in("float32"):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


def test_work_is_divided_for_a_cache_or_for_a_memory():
    cpu, other = division_on(torch.device("cpu")), division_on(torch.device("meta"))
    assert (cpu.steps, cpu.tile_side(1000), cpu.threads) == (1, SIDE, torch.get_num_threads())
    assert (other.steps, other.tiles, other.threads) == (STEPS_AHEAD, 1, 1)
    assert other.slice_numbers == 2**34 // 32 > 100 * cpu.slice_numbers
    assert other.band_numbers > 100 * cpu.band_numbers
    assert other.tile_side(100) ** 2 * 100 == pytest.approx(2**34 / 32, rel=0.01)
    assert other.tile_side(1e9) == SIDE


def test_the_tiles_of_a_denoiser():
    network = Sequential(Conv2d(3, 8, 3, padding=1), ReLU(), Conv2d(8, 3, 3, padding=1))
    assert numbers_a_pixel(network, (3, 16, 16)) == 3 * UNDECLARED
    assert Denoiser(network, (3, 16, 16)).tile == SIDE
    assert Denoiser(network, (3, 16, 16), 64).tile == 64
