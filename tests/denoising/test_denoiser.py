from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import layerkit.denoising.denoiser
from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.builtin.layers.relu import ReLU
from layerkit.builtin.layers.sequential import Sequential
from layerkit.builtin.layers.sigmoid import Sigmoid
from layerkit.builtin.layers.upsampling import Upsampling
from layerkit.contracts.module import Module
from layerkit.denoising.denoiser import Denoiser
from layerkit.errors import DataError, DataWarning, RunError, ShapeError, UserError

WHOLE = 1 << 20


class Toy(Module):
    """A network of one channel with a parameter, which settles the dtype it works in."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.add_parameter("gain", torch.tensor(0.9, dtype=dtype))

    def backward(self, grad_output: Tensor) -> Tensor:
        raise NotImplementedError


class Identity(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Half(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Box(Toy):
    """The mean of a pixel and its neighbours, with a border of zeros: reach 1."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * functional.avg_pool2d(x, 3, 1, 1)


class Far(Toy):
    """Every pixel depends on the one 60 rows above and 50 columns to the left: more than the small probe can see."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + functional.pad(x, (50, 0, 60, 0))[:, :, : x.shape[2], : x.shape[3]]) / 2


class Halving(Box):
    """Half the size, a box there, and back: step 2."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(super().forward(functional.avg_pool2d(x, 2)), scale_factor=2)


class Smoothed(Box):
    """Half the size, back, and a box: reach 1, which is less than its grid of 2."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2))


class Thirds(Toy):
    """A third of the size and back: step 3, reach of less than a block."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(self.gain * x[:, :, ::3, ::3], size=None, scale_factor=3)


class Resized(Halving):
    """Keeps every size by cutting to it, and still sees pixels in pairs: step 1, grid 2."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        return super().forward(functional.pad(x, (0, width % 2, 0, height % 2)))[:, :, :height, :width]


class Picky(Resized):
    """Refuses small pictures: smallest 9."""

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[2:]) < 9:
            raise ShapeError("too small")
        return super().forward(x)


class Mirrored(Toy):
    """A border of reflected pixels, which needs more than four of them: smallest 5."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * functional.avg_pool2d(functional.pad(x, (4, 4, 4, 4), mode="reflect"), 9, 1)


class ThereAndBack(Toy):
    """Shifts the picture out over its edge and back: each pixel depends on itself alone, and yet edges reach 5 far."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * functional.pad(functional.pad(x, (5, -5, 5, -5)), (-5, 5, -5, 5))


class Swallowing(Box):
    """A ReLU that makes zeros of NaN."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return torch.where(y > 0, y, 0)


class Silent(Toy):
    """Multiplies a pixel seven to the left by a weight of 0, which training may change."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + 0 * functional.pad(x, (7, 0))[:, :, :, : x.shape[3]]


class GlobalMean(Toy):
    """Every pixel depends on all pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return (self.gain * x + x.mean(dim=(2, 3), keepdim=True)) / 2


class SilentMean(Toy):
    """Multiplies the mean of all pixels by a weight of 0."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x + 0 * x.mean(dim=(2, 3), keepdim=True)


class Vignette(Toy):
    """Knows where it is in the picture: no shift leaves it the same."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.linspace(0.5, 1, x.shape[3], dtype=x.dtype)


class FixedSize(Toy):
    """Takes 6x6 alone, as a network with a linear layer does."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.linspace(0, 1, 36, dtype=x.dtype).view(6, 6)


class Classifier(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class Diverged(Toy):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0


NETWORKS = [Box, Halving, Smoothed, Thirds, Resized, Picky, Mirrored, ThereAndBack, Swallowing, GlobalMean, Vignette]


@cache
def denoiser(network: type[Toy], tile: int = WHOLE) -> Denoiser:
    return Denoiser(network(), (1, 12, 12), tile)


def noise(*shape: int) -> Tensor:
    return 255 * torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


# Tiles


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(NETWORKS), st.integers(0, 2), st.integers(1, 40), st.integers(1, 40), st.integers(3, 16))
def test_tiles_leave_no_trace(network: type[Toy], count: int, height: int, width: int, tile: int) -> None:
    images = noise(count, 1, height, width)
    whole = denoiser(network).predict(images)
    tiled = denoiser(network, tile).predict(images)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("network", [Box, Halving, Far])
def test_a_photograph(network: type[Toy]) -> None:
    images = noise(1, 1, 667, 1000)
    tiled = denoiser(network, 256).predict(images)
    torch.testing.assert_close(tiled, denoiser(network).predict(images), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("network", "sizes", "tiling"),
    [
        (Box, (1, 1), (1, 1)),
        (Far, (1, 1), (1, 60)),
        (Halving, (2, 2), (2, 2)),
        (Smoothed, (2, 2), (2, 1)),
        (Thirds, (3, 3), (3, 0)),
        (Resized, (1, 1), (2, 2)),
        (Picky, (1, 9), (2, 2)),
        (Silent, (1, 1), (1, 7)),
        (SilentMean, (1, 1), None),
        (Mirrored, (1, 5), (1, 4)),
        (ThereAndBack, (1, 5), (1, 5)),
        (GlobalMean, (1, 1), None),
        (Vignette, (1, 1), None),
    ],
)
def test_what_is_measured(network: type[Toy], sizes: tuple[int, int], tiling: tuple[int, int] | None) -> None:
    assert denoiser(network).geometry.sizes == sizes
    assert denoiser(network).geometry.tiling == tiling
    grid, reach = tiling or (1, 0)
    assert denoiser(network).halo == (tiling and -(-reach // grid) * grid)


def test_the_network_of_the_report() -> None:
    generator = torch.Generator().manual_seed(0)
    network = Sequential(
        Conv2d(3, 8, 2, 2, generator=generator),
        ReLU(),
        Conv2d(8, 8, 2, 2, generator=generator),
        ReLU(),
        Upsampling(8, 8, generator=generator),
        ReLU(),
        Upsampling(8, 3, generator=generator),
        Sigmoid(),
    )
    images = noise(2, 3, 83, 61).to(torch.uint8)
    tiled, whole = (Denoiser(network, (3, 32, 32), tile) for tile in (24, WHOLE))
    assert whole.predict(images).float().std() > 0
    assert (tiled.predict(images).int() - whole.predict(images).int()).abs().max() <= 1  # a half may round either way
    torch.testing.assert_close(tiled.predict(images.float()), whole.predict(images.float()), rtol=0, atol=1e-3)
    assert (tiled.geometry.sizes, tiled.geometry.tiling) == ((4, 4), (4, 3))


def test_tiles_begin_on_the_grid_and_are_large_enough() -> None:
    for spans in denoiser(Picky).geometry.tiles(41, 40, 3):
        assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
        assert all(span.begin % 2 == 0 and span.end - span.begin >= 9 for span in spans)
        assert all(span.end % 2 == 0 or span.end == spans[-1].stop for span in spans)


@pytest.mark.parametrize(("tile", "most"), [(16, 18 * 18), (64, 66 * 66)])
@pytest.mark.parametrize("shape", [(1, 1, 200, 300), (200, 1, 12, 12), (3, 1, 20, 20)])
def test_a_forward_pass_is_no_larger_than_a_tile(tile: int, most: int, shape: tuple[int, ...]) -> None:
    small, pixels = Denoiser(Box(), (1, 12, 12), tile), []
    assert small.geometry.tiling == (1, 1)
    forward = small.network.forward
    small.network.forward = lambda x: (pixels.append(x.numel()), forward(x))[1]
    small.predict(noise(*shape))
    assert max(pixels) <= most
    assert len(pixels) <= 4 * math.prod(shape) / tile**2 + 1


def test_pictures_of_the_declared_size_need_no_measurement() -> None:
    fresh = Denoiser(Box(), (1, 12, 12))
    fresh.predict(noise(4, 1, 12, 12))
    assert not {"sizes", "tiling"} & vars(fresh.geometry).keys()


# Values


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (1, 30), (12, 12)])
def test_a_small_picture_is_continued_by_its_edge(height: int, width: int) -> None:
    images = noise(2, 1, height, width)
    # In blocks of three only the first pixel counts, so that what is added must not.
    expected = functional.interpolate(images[:, :, ::3, ::3], scale_factor=3)[:, :, :height, :width]
    torch.testing.assert_close(denoiser(Thirds).predict(images), 0.9 * expected)


def test_the_continued_edge_is_seen() -> None:
    images = noise(1, 1, 5, 7)
    expected = Halving()(functional.pad(images / 255, (0, 1, 0, 1), mode="replicate"))[:, :, :5, :7] * 255
    torch.testing.assert_close(denoiser(Halving).predict(images), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8])
@pytest.mark.parametrize("own", [torch.float32, torch.float64])
def test_the_result_has_the_dtype_of_the_pictures(dtype: torch.dtype, own: torch.dtype) -> None:
    images = noise(2, 1, 6, 9).to(dtype)
    network = Half(own)
    seen = []
    network_forward = network.forward
    network.forward = lambda x: (seen.append(x.dtype), network_forward(x))[1]
    result = Denoiser(network, (1, 6, 9)).predict(images)
    assert result.dtype == dtype
    assert result.shape == images.shape
    assert seen == [own]
    torch.testing.assert_close(result.double(), images.double() / 2, rtol=0.01, atol=0.5)


def test_bytes_are_rounded_and_not_cut_off() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert denoiser(Identity).predict(images).equal(images)
    assert denoiser(Half).predict(images).equal((images.double() / 2).round().to(torch.uint8))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", ">f4"])
def test_arrays_of_numpy_are_taken_and_returned(dtype: str) -> None:
    images = noise(2, 1, 6, 9).numpy().astype(dtype)
    result = denoiser(Half).predict(images)
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.dtype(dtype).newbyteorder("=")
    expected = denoiser(Half).predict(torch.from_numpy(images.astype(result.dtype)))
    assert np.array_equal(result, expected.numpy())


def test_arrays_are_taken_however_they_lie_in_memory_and_left_alone() -> None:
    images = noise(2, 1, 9, 9).numpy()
    images.flags.writeable = False
    before = images.copy()
    for view in (images, images[:, :, ::-1], images.transpose(0, 1, 3, 2), images[:, :, ::3, ::3]):
        assert np.array_equal(denoiser(Half).predict(view), view / 2)
    assert np.array_equal(images, before)


@pytest.mark.parametrize("images", [noise(1, 1, 12, 12) / 255, (1.4 * noise(1, 1, 12, 12) / 255 - 0.2).float().numpy()])
def test_values_from_0_to_1_are_told(images: Tensor) -> None:
    with pytest.warns(DataWarning, match="images: the values go from .*, but 0 to 255 is expected; if 1 is") as caught:
        result = denoiser(Half).predict(images)
    assert caught[0].filename == __file__
    assert float(abs(result - images.clip(0) / 2).max()) < 1e-6


@pytest.mark.parametrize("images", [torch.zeros(1, 1, 12, 12), torch.ones(1, 1, 12, 12).byte(), noise(0, 1, 12, 12)])
def test_other_values_are_taken_without_a_word(images: Tensor) -> None:
    denoiser(Half).predict(images)  # a warning is an error in these tests


def test_the_result_stays_between_0_and_255() -> None:
    images = torch.tensor([-20.0, 0.5, 254.5, 300.0]).view(1, 1, 1, 4)
    assert denoiser(Identity).predict(images).flatten().tolist() == pytest.approx([0, 0.5, 254.5, 255])


def test_no_pictures() -> None:
    assert denoiser(Box, 16).predict(noise(0, 1, 40, 40)).shape == (0, 1, 40, 40)


def test_the_pictures_are_left_alone_and_not_handed_back() -> None:
    images = noise(1, 1, 12, 12).transpose(2, 3)
    before = images.clone()
    result = denoiser(Identity).predict(images)
    result.zero_()
    assert images.equal(before)


def test_pictures_do_not_see_each_other() -> None:
    images = noise(7, 1, 9, 11)
    together = denoiser(GlobalMean).predict(images)
    for one, expected in zip(images, together, strict=True):
        torch.testing.assert_close(denoiser(GlobalMean).predict(one[None])[0], expected)


def test_the_network_is_evaluated_and_stays_in_its_mode() -> None:
    class Watched(Box):
        def forward(self, x: Tensor) -> Tensor:
            modes.append(self.training)
            return super().forward(x)

    modes: list[bool] = []
    network = Watched().train()
    watched = Denoiser(network, (1, 12, 12), 16)
    watched.predict(noise(1, 1, 40, 12))
    assert watched.halo == 1
    assert modes and not any(modes)
    assert network.training


class Remembering(Box):
    """Writes down where its input lies, and does once what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[int] = []
        self.inside: Callable[[], object] = lambda: None

    def forward(self, x: Tensor) -> Tensor:
        self.places.append(x.data_ptr())
        inside, self.inside = self.inside, lambda: None
        inside()
        return super().forward(x)


def test_the_next_call_gets_the_memory_of_the_last_but_no_call_that_of_another() -> None:
    network, images = Remembering(), noise(1, 1, 12, 12)
    outer = Denoiser(network, (1, 12, 12))
    first, second = outer.predict(images), outer.predict(255 - images)
    assert len(set(network.places)) == 1
    assert not torch.equal(first, second)
    network.places.clear()
    network.inside = lambda: outer.predict(images)
    outer.predict(images)
    assert len(set(network.places)) == 2


def test_a_copy_has_none_of_the_memory_that_is_kept() -> None:
    original = Denoiser(Box(), (1, 12, 12))
    expected = original.predict(noise(1, 1, 12, 12))
    copied = copy.deepcopy(original)
    assert original._idle and not copied._idle
    assert torch.equal(copied.predict(noise(1, 1, 12, 12)), expected)


def test_progress_counts_the_tiles() -> None:
    steps = []
    denoiser(Box, 16).predict(noise(1, 1, 40, 20), lambda done, total: steps.append((done, total)))
    assert steps == [(done, 6) for done in range(1, 7)]


def test_measuring_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    Denoiser(Box(), (1, 12, 12), 16).predict(noise(1, 1, 40, 40))
    assert torch.get_rng_state().equal(before)


def test_a_network_of_fixed_size_takes_that_size() -> None:
    images = noise(3, 1, 6, 6)
    for tile in (4, 256):
        result = Denoiser(FixedSize(), (1, 6, 6), tile).predict(images)
        torch.testing.assert_close(result, images * torch.linspace(0, 1, 36, dtype=torch.float64).view(6, 6))


def test_a_checkpoint_is_a_denoiser(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Half()
    shape = SimpleNamespace(channels=1, height=6, width=9)
    checkpoint = SimpleNamespace(network=network, architecture=SimpleNamespace(input=shape))
    asked = {("n2n.safetensors", torch.device("cpu")): checkpoint}
    monkeypatch.setattr(layerkit.denoising.denoiser, "load", lambda path, device: asked[path, device])
    loaded = Denoiser.load("n2n.safetensors", tile=32, device="cpu")
    assert (loaded.network, loaded.input_shape, loaded.tile) == (network, (1, 6, 9), 32)


# Errors


@pytest.mark.parametrize("shape", [(12, 12), (1, 12, 12), (2, 3, 12, 12), (2, 1, 0, 12), (0, 1, 12, 0)])
def test_pictures_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"images: expected pictures of shape \(N, 1, H, W\), got \("):
        denoiser(Box).predict(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_pictures_of_another_kind(dtype: torch.dtype) -> None:
    with pytest.raises(
        DataError, match=f"images: expected a torch tensor or a numpy array of uint8, uint16 or floats.*, got {dtype}"
    ):
        denoiser(Box).predict(torch.zeros(1, 1, 12, 12, dtype=dtype))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_pictures_that_are_not_finite(value: float) -> None:
    images = noise(1, 1, 40, 40)
    images[0, 0, 39, 39] = value
    with pytest.raises(DataError, match="images: some values are not finite; expected values from 0 to 255"):
        denoiser(Box, 16).predict(images)


def test_a_diverged_network() -> None:
    with pytest.raises(RunError, match="the network's answer is not finite: its weights have diverged"):
        denoiser(Diverged).predict(torch.zeros(1, 1, 12, 12))


@pytest.mark.parametrize("side", [12, 20])
def test_a_network_that_is_no_denoiser(side: int) -> None:
    with pytest.raises(ShapeError, match=r"turns \(1, 1, 12, 12\) into \(1, 1\); a denoiser must return"):
        denoiser(Classifier).predict(noise(1, 1, side, side))


def test_a_network_of_fixed_size_takes_no_other() -> None:
    with pytest.raises(ShapeError, match="the network only takes pictures of 6x6, not 7x6; cut or resize them"):
        Denoiser(FixedSize(), (1, 6, 6)).predict(noise(1, 1, 7, 6))


def test_a_tile_has_a_pixel() -> None:
    with pytest.raises(UserError, match="Denoiser: tile must be a whole number at least 1 or None, got 0"):
        Denoiser(Box(), (1, 12, 12), tile=0)


def test_a_denoiser_prints_its_network_in_a_few_words() -> None:
    assert repr(Denoiser(Sequential(ReLU(), ReLU()), (3, 8, 9), tile=64)).splitlines() == [
        "Denoiser(",
        "  network: Sequential of 2 layers, 0 parameters",
        "  input_shape: (3, 8, 9)",
        "  tile: 64",
        ")",
    ]


# Other numbers than those from 0 to 255


@pytest.fixture
def halving() -> Denoiser:
    """Return a denoiser that halves every value."""
    layer = Conv2d(3, 3, 1)
    layer.weight.copy_(torch.eye(3)[:, :, None, None] / 2)
    layer.bias.zero_()
    return Denoiser(layer, (3, 8, 8))


@pytest.mark.parametrize(
    ("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 255), ("float64", 1), ("float16", 1)]
)
@pytest.mark.parametrize("shape", [(9, 13, 3), (3, 9, 13), (9, 13), (2, 9, 13, 3), (2, 3, 9, 13)])
def test_arrays_of_any_kind_come_back_as_they_were(halving, dtype, white, shape) -> None:
    given = (white * np.random.default_rng(0).random(shape)).astype(dtype)
    result = halving.denoise(given)
    assert (result.dtype, result.shape) == (given.dtype, shape)
    np.testing.assert_allclose(result, given / 2, rtol=1e-3, atol=1 if dtype.startswith("uint") else 0)


def test_sixteen_bits_keep_their_grades(halving) -> None:
    images = np.arange(65536, dtype=np.uint16).reshape(1, 1, 256, 256).repeat(3, axis=1)
    result = halving.predict(images)
    assert result.dtype == np.uint16
    assert np.abs(result.astype(int) - images.astype(int) / 2).max() <= 0.51
    assert len(np.unique(result)) == 32769


def test_floats_are_not_cut_off_at_what_is_taken_for_white(halving) -> None:
    given = np.full((9, 13, 3), 0.5, np.float32)
    given[3, 4] = 3.0
    assert halving.denoise(given)[3, 4].tolist() == pytest.approx([1.5] * 3)
