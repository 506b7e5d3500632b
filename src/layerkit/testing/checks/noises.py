"""The battery of noises."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from layerkit.testing.cases.case import NoiseCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.means import require_mean
from layerkit.testing.instruments.observation import nothing_global_touched, nothing_opened, share_memory

DRAWS = 400


@check("noise", large=1)
def noise_keeps_shape_and_dtype(case: NoiseCase) -> None:
    """``draw`` and ``clean`` return finite pictures (N, C, H, W) in the source's dtype, for empty batches as well."""
    for dtype in (torch.float32, torch.float64):
        for count in (case.shape[0], 0, 1):
            shape = (count, *case.shape[1:])
            noise = case.noise()
            source = case.source(noise, dtype, shape)
            for what, picture in (("draw", noise.draw(source, case.generator("draw"))), ("clean", noise.clean(source))):
                require(tuple(picture.shape) == shape, f"{what} returns {tuple(picture.shape)}, and should {shape}")
                require(picture.dtype == dtype, f"{what} returns {picture.dtype} for a source of {dtype}")
                require(bool(picture.isfinite().all()), f"{what} returns numbers that are infinite or not a number")


@check("noise")
def noise_leaves_its_source(case: NoiseCase) -> None:
    """The source is not written to, nothing drawn lies in its memory, and a later draw overwrites no earlier one."""
    noise = case.noise()
    source = case.source(noise)
    value, version = source.clone(), source._version
    generator = case.generator("draw")
    first, clean = noise.draw(source, generator), noise.clean(source).clone()
    require(torch.equal(source, value) and source._version == version, "draw writes into its source")
    require(not share_memory(first, source), "what draw returns lies in the memory of the source")
    kept = first.clone()
    noise.draw(source, generator)
    require_same_bits(first, kept, "a later draw overwrites an earlier one")
    require_same_bits(noise.clean(source), clean, "clean gives another picture after a draw")
    require(torch.equal(source, value), "clean writes into its source")


DTYPES = (torch.float64, torch.float32)
"""A training draws in float32; each case is tried in one of them."""


@check("noise", large=0.5)
def noise_comes_from_its_generator(case: NoiseCase) -> None:
    """Generators in the same state draw the same bits, whatever was drawn before; nothing global is touched."""
    noise = case.noise()
    source = case.source(noise, DTYPES[case.seed % 2])
    with nothing_global_touched("a draw"), nothing_opened("a draw"):
        first = noise.draw(source, case.generator("draw"))
    noise.draw(source, case.generator("something else"))
    torch_state = torch.get_rng_state()
    try:
        torch.manual_seed(case.seed + 1)
        again = noise.draw(source.clone(), case.generator("draw"))
        other = case.noise().draw(source, case.generator("draw"))
    finally:
        torch.set_rng_state(torch_state)
    require_same_bits(again, first, "the same generator draws something else the second time")
    require_same_bits(other, first, "an equal noise draws something else from the same generator")


@check("noise", witness=True)
def draws_differ(case: NoiseCase) -> bool:
    """Two draws from one generator differ, and so does the noise of equal pictures in a batch, in some example."""
    noise = case.noise()
    source = case.source(noise)[:1].repeat(DRAWS, 1, 1, 1)
    generator = case.generator("draw")
    first, second = noise.draw(source, generator), noise.draw(source, generator)
    return not torch.equal(first, second) and not torch.equal(first, first[:1].expand_as(first))


@check("noise", share=0.4)
def draws_are_independent(case: NoiseCase) -> None:
    """The deviations of two draws from their mean are uncorrelated, for one picture and for two in a batch."""
    noise = case.noise()
    source = case.source(noise, shape=(1, *case.shape[1:])).repeat(DRAWS, 1, 1, 1)

    def two_draws(look: str) -> tuple[Tensor, Tensor]:
        generator = case.generator(look)
        return noise.draw(source, generator), noise.draw(source, generator)

    def two_pictures(look: str) -> tuple[Tensor, Tensor]:
        drawn = noise.draw(source, case.generator(look))
        return drawn[::2], drawn[1::2]

    def two_seeds(look: str) -> tuple[Tensor, Tensor]:
        one, other = (noise.draw(source, case.generator(f"{look}, {which}")) for which in ("first", "second"))
        return one, other

    pairs = {"two draws": two_draws, "two pictures of a batch": two_pictures, "draws of different seeds": two_seeds}
    for what, pair in pairs.items():
        require_mean(partial(_products, pair), f"{what} are not independent")


def _products(pair: Callable[[str], tuple[Tensor, Tensor]], look: str) -> tuple[Tensor, float]:
    """Return for each draw the mean product of the deviations of both from their means; 0 is expected."""
    one, other = pair(look)
    return ((one - one.mean(0)) * (other - other.mean(0))).flatten(1).mean(1), 0.0


@check("noise", large=0.5)
def targets_are_draws(case: NoiseCase) -> None:
    """``target`` is what ``draw`` gives for an equal generator, with NaN only where ``masks_targets`` is declared."""
    noise = case.noise()
    source = case.source(noise, DTYPES[case.seed % 2])
    value = source.clone()
    drawn = noise.draw(source, case.generator("draw"))
    target = noise.target(source, case.generator("draw"))
    require(torch.equal(source, value), "target writes into its source")
    require(target.shape == drawn.shape, f"target returns {tuple(target.shape)}, and draw {tuple(drawn.shape)}")
    unknown = target.isnan()
    undeclared = bool(unknown.any()) and not case.spec.masks_targets
    require(not undeclared, "a target has values that are not a number: declare masks_targets, or find out why")
    require_same_bits(
        torch.where(unknown, drawn, target), drawn, "target is not what draw gives for an equal generator"
    )


@check("noise", witness=True)
def declared_masks(case: NoiseCase) -> bool:
    """Where ``masks_targets`` is declared some values of a target are unknown, in some example."""
    if not case.spec.masks_targets:
        not_applicable("the noise is not declared to mask its targets")
    noise = case.noise()
    return bool(noise.target(case.source(noise), case.generator("draw")).isnan().any())


@check("noise", share=0.6)
def undeclared_bias(case: NoiseCase) -> None:
    """Where ``unbiased`` is declared the mean of many targets, of what is known in them, is the clean picture."""
    if not case.spec.unbiased:
        not_applicable("the noise is declared biased")
    _require_unbiased(case)


@check("noise", witness=True)
def declared_bias(case: NoiseCase) -> bool:
    """Where ``unbiased = False`` is declared the mean of many targets is not the clean picture, in some example."""
    if case.spec.unbiased:
        not_applicable("the noise is declared unbiased")
    try:
        _require_unbiased(case)
    except CheckFailed:
        return True
    return False


def _require_unbiased(case: NoiseCase) -> None:
    noise = case.noise()
    source = case.source(noise, shape=(1, *case.shape[1:]))
    many, clean = source.repeat(DRAWS, 1, 1, 1), noise.clean(source)[0]
    require_mean(
        lambda look: (noise.target(many, case.generator(look)), clean),
        "the mean of many noisy pictures is not the clean one: declare unbiased = False?",
    )


@check("noise", share=0.6)
def noise_takes_any_layout(case: NoiseCase) -> None:
    """A source that is a slice or a transposed view gives what its contiguous copy gives."""
    noise = case.noise()
    source = case.source(noise)
    expected, clean = noise.draw(source, case.generator("draw")), noise.clean(source)
    larger = torch.zeros(*(size + 3 for size in source.shape), dtype=source.dtype)
    window = larger[tuple(slice(1, 1 + size) for size in source.shape)]
    window.copy_(source)
    for what, view in (
        ("sliced", window),
        ("channels-last", source.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)),
        ("transposed", source.transpose(2, 3).contiguous().transpose(2, 3)),
    ):
        require_close(noise.draw(view, case.generator("draw")), expected, f"a {what} source gives another noise")
        require_close(noise.clean(view), clean, f"a {what} source gives another clean picture")
