"""``layerkit denoise`` with pictures as people have them, through the network inside the package."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from layerkit import BlindDenoiser, build, load_architecture, save
from layerkit.cli import run
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import Page, Picture, Scale, opened, read_picture, write_pages, write_picture
from layerkit.denoising.collaborative import REACH


@pytest.fixture(scope="module")
def clean() -> torch.Tensor:
    """Return a photograph without noise, uint8 (3, 96, 96)."""
    return read_photograph("skimage", "data/astronaut.png")[:, 20:116, 180:276]


@pytest.fixture(scope="module")
def noisy(clean) -> torch.Tensor:
    """Return it with noise of 25, floats."""
    return clean.float() + 25 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> dict[int, str]:
    """Return small networks that have learned nothing, by their channels, the level of the noise among them."""
    folder = tmp_path_factory.mktemp("networks")
    for channels in (2, 4):
        layer = {"type": "conv2d", "out_channels": channels, "kernel_size": 3, "padding": 1}
        given = {"channels": channels, "noise_level": True, "height": 8, "width": 8}
        architecture = load_architecture(json.dumps({"format": 1, "name": "n", "input": given, "layers": [layer]}))
        save(folder / f"{channels}.safetensors", build(architecture), architecture)
    return {channels: str(folder / f"{channels}.safetensors") for channels in (2, 4)}


def denoised(tmp_path: Path, name: str, *options: str, network: str = "") -> Path:
    """Denoise ``name`` and return the only file that comes of it."""
    given = [network] if network else []
    assert run(["denoise", *given, str(tmp_path / name), "--output", str(tmp_path / "out"), *options]) == 0
    (written,) = (tmp_path / "out").iterdir()
    return written


def psnr(pixels: torch.Tensor, clean: torch.Tensor, white: float) -> float:
    return -10 * math.log10((pixels.double() - clean.double()).square().mean().item() / white**2)


def deep(values: torch.Tensor, white: float = 65535) -> torch.Tensor:
    """Return values from 0 to 255 as 16 bits."""
    return (values * (white / 255)).round().clamp(0, 65535).to(torch.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_sixteen_bits(tmp_path, clean, noisy, name, capsys):
    write_picture(tmp_path / name, Picture(deep(noisy)))
    written = denoised(tmp_path, name)
    assert written.name == "a.png"
    result = read_picture(written).pixels
    assert result.dtype == torch.uint16
    assert len(result.int().unique()) > 5000  # of 8 bits there are 256
    assert psnr(result, deep(clean), 65535) > psnr(deep(noisy), deep(clean), 65535) + 5
    assert "Gaussian noise, about 2" in capsys.readouterr().out


@pytest.mark.parametrize("low", [0, 20_000])
def test_a_dim_picture_of_sixteen_bits_is_denoised_in_its_own_range(tmp_path, clean, noisy, low, capsys):
    dim = (deep(noisy.clamp(min=0), 200).int() + low).to(torch.uint16)  # values around 100, noise of 20
    truth = clean.double() * (200 / 255) + low
    write_picture(tmp_path / "a.png", Picture(dim))
    result = read_picture(denoised(tmp_path, "a.png")).pixels
    assert result.dtype == torch.uint16
    assert len(result.int().unique()) > 100
    assert psnr(result, truth, 200) > psnr(dim, truth, 200) + 4
    assert "255 standing for 2" in capsys.readouterr().out or low


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_a_clean_picture_comes_back_with_not_one_value_changed(tmp_path, dtype, capsys):
    steps = torch.linspace(0, 60_000, 128 * 128).reshape(1, 128, 128)
    pixels = (steps / 257 if dtype == torch.uint8 else steps).to(dtype)
    write_picture(tmp_path / "a.tif", Picture(pixels.expand(3, -1, -1).contiguous()))
    written = denoised(tmp_path, "a.tif")
    assert torch.equal(read_picture(written).pixels, pixels.expand(3, -1, -1))
    assert "left as it is" in capsys.readouterr().out


@pytest.mark.parametrize("white", [1.0, 40_000.0])
def test_floats_stay_floats(tmp_path, clean, noisy, white):
    write_picture(tmp_path / "a.tif", Picture(noisy * (white / 255)))
    written = denoised(tmp_path, "a.tif")
    assert written.name == "a.tif"
    result = read_picture(written).pixels
    assert result.dtype == torch.float32
    truth = clean.double() * (white / 255)
    assert psnr(result, truth, white) > psnr(noisy * (white / 255), truth, white) + 5


def test_what_is_far_beyond_white_is_kept(tmp_path, noisy):
    pixels = noisy / 255
    pixels[:, 40, 50] = 1000.0
    write_picture(tmp_path / "a.tif", Picture(pixels))
    result = read_picture(denoised(tmp_path, "a.tif")).pixels
    assert result[:, 40, 50].tolist() == pytest.approx([1000] * 3, rel=0.01)
    assert (result[:, 20:30, 20:30] - pixels[:, 20:30, 20:30]).abs().max() < 1


def test_every_page_of_a_stack(tmp_path, clean, noisy, capsys):
    pages = np.stack([deep(noisy)[0].numpy(), deep(noisy)[1].numpy(), deep(clean)[2].numpy()])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    written = denoised(tmp_path, "a.tif")
    result = tifffile.imread(written)
    assert (result.dtype, result.shape) == (np.uint16, pages.shape)
    changes = np.abs(result.astype(int) - pages).mean((1, 2))
    assert changes[0] > 1000
    assert changes[1] > 1000
    assert "3 pictures, the first, Gaussian noise, about 2" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
@pytest.mark.parametrize("options", [(), ("--format", "same")])
def test_every_picture_of_an_animation(tmp_path, noisy, networks, suffix, options):
    frames = [Image.fromarray(v.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()) for v in (noisy, noisy.flip(1))]
    lossless = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=[80, 120], **lossless)
    written = denoised(tmp_path, f"a.{suffix}", *options, network=networks[4])
    assert written.suffix == (f".{suffix}" if options else ".png")
    with opened(written) as source:
        first, second = source.pages()
    assert (first.duration, second.duration) == (80, 120)
    with opened(tmp_path / f"a.{suffix}") as source:
        before = list(source.pages())
    for page, given in zip((first, second), before, strict=True):
        assert (page.picture.pixels.int() - given.picture.pixels.int()).abs().double().mean() > 1


def test_arrays(tmp_path, clean, noisy, networks):
    np.save(tmp_path / "a.npy", noisy.numpy())
    written = denoised(tmp_path, "a.npy")
    result = np.load(written)
    assert (written.name, result.dtype, result.shape) == ("a.npy", np.float32, (3, 96, 96))
    assert psnr(torch.from_numpy(result), clean, 255) > psnr(noisy, clean, 255) + 5
    stack = deep(noisy).permute(1, 2, 0)[None].expand(2, -1, -1, -1).numpy()
    np.savez(tmp_path / "b.npz", shots=stack, when=np.array("today"))
    assert run(["denoise", networks[4], str(tmp_path / "b.npz"), "--output", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / "b.npz") as arrays:
        assert (arrays["shots"].dtype, arrays["shots"].shape, arrays["when"]) == (np.uint16, stack.shape, "today")
        assert (arrays["shots"] != stack).mean() > 0.9


def test_a_jpeg_stays_one_where_that_is_asked_and_keeps_what_the_camera_wrote(tmp_path, noisy, networks):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Cam", 6
    image = Image.fromarray(noisy[:, :64].round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    image.save(tmp_path / "a.JPG", exif=exif, dpi=(300, 300), quality=95, subsampling=0)
    for name, options in (("a.png", ()), ("a.JPG", ("--format", "same"))):
        assert run(["denoise", networks[4], str(tmp_path / "a.JPG"), "--output", str(tmp_path / "out"), *options]) == 0
        with Image.open(tmp_path / "out" / name) as result:
            assert result.format == ("JPEG" if options else "PNG")
            assert result.size == (64, 96)
            assert (result.getexif()[0x010F], 0x0112 in result.getexif()) == ("Cam", False)
            assert result.info["dpi"] == pytest.approx((300, 300), rel=1e-4)
            if options:
                reference = Image.new("RGB", (8, 8))
                reference.save(tmp_path / "95.jpg", quality=95)
                with Image.open(tmp_path / "95.jpg") as expected:
                    assert result.quantization == expected.quantization


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B"])
@pytest.mark.parametrize("channels", [2, 4])
def test_every_mode_through_networks_for_grey_and_for_colours(tmp_path, noisy, networks, mode, channels):
    values = noisy.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    if mode.startswith("I;16"):
        order = ">u2" if mode == "I;16B" else "<u2"
        image = Image.frombytes(mode, (96, 96), (values[..., 0].astype(np.uint16) * 257).astype(order).tobytes())
    else:
        image = Image.fromarray(values).convert(mode)
    image.save(tmp_path / "a.tif" if mode in ("CMYK", "I;16B") else tmp_path / "a.png")
    (path,) = tmp_path.glob("a.*")
    assert run(["denoise", networks[channels], str(path), "--output", str(tmp_path / "out")]) == 0
    given, result = read_picture(path), read_picture(tmp_path / "out" / "a.png")
    assert result.pixels.shape == given.pixels.shape
    assert len(result.pixels) == (1 if mode in ("1", "L", "LA") or "I" in mode else 3)
    assert result.pixels.dtype == given.pixels.dtype
    assert (result.alpha is None) == (given.alpha is None)
    assert given.alpha is None or torch.equal(result.alpha, given.alpha)
    assert not torch.equal(result.pixels, given.pixels)


def test_a_comparison_of_a_dim_picture_and_of_floats(tmp_path, noisy, networks):
    write_picture(tmp_path / "a.png", Picture(deep(noisy[:, :40, :40].clamp(min=0), 200)))
    write_picture(tmp_path / "b.tif", Picture(noisy[:, :40, :40] / 255))
    for name in ("a.png", "b.tif"):
        assert run(["denoise", networks[4], str(tmp_path / name), "--output", str(tmp_path / "out"), "--compare"]) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a-compare.png", "a.png", "b-compare.png", "b.tif"]
    for name in ("a-compare.png", "b-compare.png"):  # neither black nor white
        assert 40 < read_picture(tmp_path / "out" / name).pixels[:, 60:120].double().median() < 253


def test_memory_is_bounded_by_the_tile(noisy, networks):
    """Of a large picture, no more than a tile becomes floats at a time."""
    sizes = []

    class Counting(Scale):
        def values(self, pixels: torch.Tensor) -> torch.Tensor:
            sizes.append(pixels.numel())
            return super().values(pixels)

    pixels = deep(noisy).repeat(1, 4, 5)
    denoiser = BlindDenoiser.load(networks[4], tile=64)
    result = denoiser.restore(pixels, scale=Counting(0, 65535))
    assert len(sizes) > 20
    assert max(sizes[1:]) <= 3 * (64 + 2 * (8 + REACH)) ** 2
    whole = BlindDenoiser.load(networks[4], tile=1024).restore(pixels)
    assert not torch.equal(whole.pixels, pixels)
    assert (result.pixels.int() - whole.pixels.int()).abs().max() <= 2


def test_a_file_that_ends_too_early_is_named(tmp_path, noisy, capsys):
    for name in ("a.png", "a.tif"):
        write_picture(tmp_path / name, Picture(deep(noisy)))
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        assert run(["denoise", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
        assert f"error: {tmp_path / name}: damaged or incomplete picture" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_raw_and_heic_without_their_packages(tmp_path, monkeypatch, capsys):
    for name, package in (("a.NEF", "rawpy"), ("a.heic", "pillow_heif")):
        monkeypatch.setitem(sys.modules, package, None)
        (tmp_path / name).write_bytes(b"\0\0\0\x1cftypheic" + bytes(100))
        assert run(["denoise", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
        assert f"{name}: {'RAW' if package == 'rawpy' else 'HEIC'} pictures need the package" in capsys.readouterr().err


def test_a_stack_that_breaks_off_leaves_nothing(tmp_path, noisy, networks):
    np.save(tmp_path / "a.npy", np.stack([deep(noisy)[0].numpy()] * 5))
    os.truncate(tmp_path / "a.npy", os.path.getsize(tmp_path / "a.npy") - 100)
    arguments = ["denoise", networks[4], str(tmp_path / "a.npy"), "--output", str(tmp_path / "out")]
    assert run(arguments) == 2
    assert not list((tmp_path / "out").iterdir())


def test_pages_are_written_as_they_come(tmp_path, noisy):
    """One page is read, and the one before it written, before the next is read."""
    tifffile.imwrite(tmp_path / "a.tif", np.stack([deep(noisy)[0].numpy()] * 3), photometric="minisblack")
    seen = []
    with opened(tmp_path / "a.tif") as source:

        def pages():
            for page in source.pages():
                seen.append("read")
                yield Page(page.picture)
                seen.append("taken")

        write_pages(tmp_path / "b.tif", pages(), source)
    assert seen == ["read", "taken"] * 3
