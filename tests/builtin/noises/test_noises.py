"""The built-in noises: right mean and spread, independent draws, nothing shared with the source."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from layerkit.builtin.noises.bernoulli import Bernoulli, BernoulliSpec
from layerkit.builtin.noises.gaussian import Gaussian, GaussianSpec
from layerkit.builtin.noises.impulse import Impulse, ImpulseSpec
from layerkit.builtin.noises.pixelate import Pixelate, PixelateSpec
from layerkit.builtin.noises.poisson import Poisson, PoissonSpec
from layerkit.builtin.noises.text import Text, TextSpec
from layerkit.contracts.noise import Noise
from layerkit.errors import ShapeError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=generator(seed))


# What every noise promises

UNBIASED = [
    Gaussian(25.0),
    Gaussian((0.0, 50.0)),
    Pixelate(8),
    Pixelate(3),
    Pixelate(1),
    Pixelate(16),
    Poisson(30.0),
    Poisson((1.0, 50.0)),
    Bernoulli(0.5),
    Bernoulli((0.0, 0.9)),
]
NOISES = [*UNBIASED, Impulse(0.5), Impulse((0.0, 0.9)), Text(0.5), Text((0.0, 0.5))]


def label(noise: Noise) -> str:
    return f"{type(noise).__name__}-{vars(noise)}"


@pytest.mark.parametrize("noise", NOISES, ids=label)
class TestEveryNoise:
    def test_shapes_dtypes_and_an_unchanged_source(self, noise):
        for dtype in (torch.float32, torch.float64):
            for count in (0, 1, 3):
                source = pictures(count, 3, 4 * noise.scale, 5 * noise.scale).to(dtype)
                before = source.clone()
                for result in (f(source, generator()) for f in (noise.draw, noise.target, lambda s, _: noise.clean(s))):
                    assert result.shape == (count, 3, 4, 5)
                    assert result.dtype == dtype
                assert torch.equal(source, before)

    def test_same_generator_same_noise_and_the_global_one_is_left_alone(self, noise):
        source = pictures(2, 3, 4 * noise.scale, 4 * noise.scale)
        state = torch.get_rng_state()
        assert torch.equal(noise.draw(source, generator(5)), noise.draw(source, generator(5)))
        assert torch.equal(torch.get_rng_state(), state)
        if not (isinstance(noise, Pixelate) and noise.scale == 1):
            assert not torch.equal(noise.draw(source, generator(5)), noise.draw(source, generator(6)))

    def test_two_draws_are_independent(self, noise):
        source = pictures(1, 3, 2 * noise.scale, 2 * noise.scale).expand(20_000, -1, -1, -1)
        stream = generator()
        draws = (noise.draw(source, stream) for _ in range(2))
        first, second = (draw - draw.mean(0) for draw in draws)
        covariance = (first * second).mean(0)
        assert (covariance.abs() <= 5 * first.std(0) * second.std(0) / math.sqrt(20_000) + 1e-9).all()

    def test_views_draw_like_copies(self, noise):
        large = pictures(3, 9 * noise.scale + 5, 7 * noise.scale + 4)
        size = (4, 3, 2 * noise.scale, 3 * noise.scale)
        channel, row, column = large.stride()
        overlapping = large[:, 1:, 2:].as_strided(size, (row + 2 * column, channel, row, column))
        transposed = pictures(4, 3, 3 * noise.scale, 2 * noise.scale).transpose(2, 3)
        channels_last = pictures(4, 2 * noise.scale, 3 * noise.scale, 3).permute(0, 3, 1, 2)
        repeated = pictures(1, 1, 2 * noise.scale, 3 * noise.scale).expand(4, 3, -1, -1)
        for view in (overlapping, transposed, channels_last, repeated):
            assert torch.equal(noise.draw(view, generator(3)), noise.draw(view.contiguous(), generator(3)))
            torch.testing.assert_close(noise.clean(view), noise.clean(view.contiguous()))


@pytest.mark.parametrize("noise", UNBIASED, ids=label)
def test_what_is_known_of_many_targets_has_the_clean_picture_as_its_mean(noise):
    source = pictures(1, 3, 2 * noise.scale, 2 * noise.scale)
    draws = 40_000
    targets = noise.target(source.expand(draws, -1, -1, -1), generator())
    error = targets.nanmean(0) - noise.clean(source)[0]
    spread = (targets - targets.nanmean(0)).square().nanmean(0).sqrt()
    assert (error.abs() <= 5 * spread / (~targets.isnan()).sum(0).sqrt() + 1e-6).all()


class TestGaussian:
    @pytest.mark.parametrize("sigma", [0.0, 1.0, 25.0, 255.0])
    def test_standard_deviation(self, sigma):
        noise = Gaussian(sigma).draw(torch.full((4, 3, 64, 64), 0.5), generator()) - 0.5
        assert noise.std().item() == pytest.approx(sigma / 255, rel=0.02)

    def test_not_clipped(self):
        drawn = Gaussian(50.0).draw(torch.zeros(1, 1, 64, 64), generator())
        assert drawn.min() < -0.3

    def test_a_range_is_drawn_from_anew_for_every_picture(self):
        spread = Gaussian((10.0, 50.0)).draw(torch.zeros(400, 1, 40, 40), generator()).std((1, 2, 3)) * 255
        assert spread.min() > 9
        assert spread.max() < 53
        assert spread.mean().item() == pytest.approx(30, abs=2)
        assert spread.std().item() == pytest.approx(40 / math.sqrt(12), rel=0.1)

    @pytest.mark.parametrize("sigma", [25, 25.0, [0, 50], [3.5, 3.5], 0, 255])
    def test_spec_accepts(self, sigma):
        spec = GaussianSpec.model_validate_json(json.dumps({"type": "gaussian", "sigma": sigma}))
        assert spec.build().sigma == (tuple(sigma) if isinstance(sigma, list) else sigma)
        assert GaussianSpec.model_validate_json(spec.model_dump_json()) == spec

    @pytest.mark.parametrize(
        "sigma", ["25", True, None, -1, 256, [5], [1, 2, 3], [50, 0], [0, 256], [0, "1"], {}, [True, 3], 10**400]
    )
    def test_spec_refuses_with_one_error(self, sigma):
        with pytest.raises(ValidationError, match=r"a number from 0 to 255, or a range of them such as \[0, 50\]") as e:
            GaussianSpec.model_validate_json(json.dumps({"type": "gaussian", "sigma": sigma}))
        assert e.value.error_count() == 1

    @pytest.mark.parametrize("sigma", [math.nan, math.inf, (0.0, math.nan)])
    def test_spec_refuses_nan_and_infinity(self, sigma):
        with pytest.raises(ValidationError, match="a number from 0 to 255"):
            GaussianSpec(type="gaussian", sigma=sigma)


class TestPixelate:
    @given(block=st.integers(1, 9), height=st.integers(1, 4), width=st.integers(1, 4), seed=st.integers(0, 999))
    def test_every_pixel_comes_whole_from_its_own_block(self, block, height, width, seed):
        rows, columns = block * height, block * width
        # Every source pixel is one of a kind, and its channels tell each other.
        first = torch.arange(2 * rows * columns, dtype=torch.float64).view(2, 1, rows, columns)
        source = torch.cat([first, first + 0.25, -first], dim=1)
        drawn = Pixelate(block).draw(source, generator(seed))
        assert torch.equal(drawn[:, 1], drawn[:, 0] + 0.25)
        assert torch.equal(drawn[:, 2], -drawn[:, 0])
        picture, place = drawn[:, 0] // (rows * columns), drawn[:, 0] % (rows * columns)
        row, column = place // columns, place % columns
        assert torch.equal(picture, torch.arange(2.0, dtype=torch.float64)[:, None, None].expand_as(picture))
        assert torch.equal(row // block, torch.arange(height).double()[:, None].expand_as(row))
        assert torch.equal(column // block, torch.arange(width).double().expand_as(column))

    @pytest.mark.parametrize("block", [1, 3, 8])
    def test_bytes_are_picked_as_numbers_are(self, block):
        noise, source = Pixelate(block), torch.randint(256, (2, 3, 4 * block, 5 * block), generator=generator(2))
        for draw in (noise.draw, noise.target):
            drawn = draw(source.to(torch.uint8), generator(1))
            assert drawn.dtype == torch.uint8
            assert torch.equal(drawn.float(), draw(source.float(), generator(1)))

    def test_pixels_far_apart_in_memory(self):
        stride = 2**31 + 5  # two pictures that only 64-bit numbers reach
        memory = torch.empty(stride + 64, dtype=torch.uint8)  # of which the system provides what is touched
        source = memory.as_strided((2, 1, 8, 8), (stride, 1, 8, 1))
        source[0], source[1] = 3, 7
        assert Pixelate(8).draw(source, generator()).flatten().tolist() == [3, 7]

    @pytest.mark.parametrize("block", [2, 3, 4, 8, 16])
    def test_every_pixel_of_a_block_is_equally_likely(self, block):
        source = torch.arange(block * block).view(1, 1, block, block).float().expand(64_000, -1, -1, -1)
        counts = Pixelate(block).draw(source, generator()).long().view(-1).bincount(minlength=block * block)
        expected = 64_000 / block**2
        assert len(counts) == block * block
        chi_squared = ((counts - expected) ** 2 / expected).sum().item()
        freedom = block**2 - 1
        assert abs(chi_squared - freedom) < 5 * math.sqrt(2 * freedom)

    def test_neighbours_are_drawn_independently(self):
        block = torch.arange(64.0).view(8, 8)
        drawn = Pixelate(8).draw(block.repeat(200, 200)[None, None], generator())[0, 0]
        centred = drawn - drawn.mean()
        for neighbour in (centred[:, 1:] * centred[:, :-1], centred[1:] * centred[:-1]):
            assert abs(neighbour.mean() / centred.var()) < 5 / 200

    def test_clean_is_the_mean_of_each_block(self):
        source = pictures(2, 3, 12, 8).double()
        expected = torch.nn.functional.avg_pool2d(source, 4)
        torch.testing.assert_close(Pixelate(4).clean(source), expected)

    @pytest.mark.parametrize("shape", [(1, 3, 12, 8), (1, 3, 8, 12), (3, 8, 8)])
    def test_a_source_that_is_not_made_of_blocks_is_refused(self, shape):
        for method in (Pixelate(8).clean, lambda source: Pixelate(8).draw(source, generator())):
            with pytest.raises(ShapeError, match=r"pixelate: .* multiples of block = 8, not \("):
                method(torch.zeros(shape))

    def test_spec(self):
        assert PixelateSpec.model_validate_json('{"type": "pixelate"}').build().scale == 8
        for block in (0, 65, 8.0, "8", True):
            with pytest.raises(ValidationError):
                PixelateSpec.model_validate_json(json.dumps({"type": "pixelate", "block": block}))


@pytest.mark.parametrize("spec", [BernoulliSpec, GaussianSpec, ImpulseSpec, PixelateSpec, PoissonSpec, TextSpec])
def test_spec_examples_and_descriptions(spec):
    built = spec.model_validate_json(json.dumps({"type": spec.name(), **spec.example})).build()
    assert built.scale >= 1
    assert all(field.description for field in spec.model_fields.values())
    assert spec.model_json_schema()["properties"].keys() == spec.model_fields.keys()
