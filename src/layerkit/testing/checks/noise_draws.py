"""What many draws of a noise show: no bias, no noise twice, no two that go together, none that leans on another."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.noise import Noise
from layerkit.testing.cases.case import NoiseCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.statistics import goes_together, is_off

LEVELS = (0.0, 0.5, 0.02, 1.0, 0.1, 0.9, 0.98)
"""Grey values of even pictures, over the whole range of a picture."""
MOST_VALUES = 2_000_000
MOST_SIDE = 64
"""Of a source; a noise may make one pixel of many."""
DRAWS = 600
CALLS = 80
"""Draws one after the other, by a call each."""
MANY = 1000
"""Draws among which hardly two may be the same noise."""
NUMBERS = 16
"""A draw in which fewer different numbers are added may come twice by chance."""
MOST_TWICE = 0.05


def _side(side: int, noise: Noise) -> int:
    """Return ``side``, or less for a noise whose sources are many times as large as its pictures."""
    return max(1, min(side, MOST_SIDE // noise.scale))


def _few(count: int, noise: Noise, side: int) -> int:
    """Return how many draws are affordable."""
    return max(20, min(count, MOST_VALUES // (side * noise.scale) ** 2))


def _picture(noise: Noise, level: float, side: int, *, ramp: bool) -> Tensor:
    """Return an even picture, or one that goes from black to white across both sides."""
    size = side * noise.scale
    even = torch.full((1, 1, size, size), level, dtype=torch.float64)
    line = torch.linspace(0, 1, size, dtype=torch.float64)
    return (line[:, None] + line).view_as(even) / 2 if ramp else even


@check("noise", share=0.6)
def no_bias_on_the_whole(case: NoiseCase) -> None:
    """Where ``unbiased`` is declared all pixels of many targets together are as bright as clean, at every grey value.

    What is too little to see in one pixel, or too rare, shows in the mean over all of them.
    """
    if not case.spec.unbiased:
        not_applicable("the noise is declared biased")
    for turn in range(2):
        level = LEVELS[case.seed % len(LEVELS)]
        for largest, count in ((12, DRAWS), (2, 8 * DRAWS)):
            noise = case.noise()
            side = _side(largest, noise)
            source = _picture(noise, level, side, ramp=bool(turn))
            clean = noise.clean(source)

            def deviations(draws: int, purpose: str, noise: Noise = noise, source: Tensor = source) -> Tensor:
                targets = noise.target(source.expand(draws, -1, -1, -1).contiguous(), case.generator(purpose))
                return (targets - clean).nan_to_num(nan=0.0).flatten(1).mean(1)  # noqa: B023 - used in this turn only

            off = is_off(deviations, _few(count, noise, side))
            if off:
                raise CheckFailed(
                    f"over many targets the mean of {'a ramp' if turn else f'an even picture of {level:g}'} is off: "
                    "declare unbiased = False?",
                    analytic=float(clean.mean()) + off,
                    numeric=float(clean.mean()),
                )


@check("noise", most=5)
def input_and_target_are_independent(case: NoiseCase) -> None:
    """A picture and its target, drawn one after the other from one running generator, have nothing in common.

    So a training draws them. Nor do two draws in a row, or neighbours in a batch, in any of their pixels.
    """
    for one_by_one in (False, True):
        pairs = {
            "a picture and its target": ("draw", "target"),
            "a target and the next picture": ("target", "draw"),
            "two draws in a row": ("draw", "draw"),
        }
        for what, methods in pairs.items():
            noise = case.noise()
            side = _side(3, noise)
            source = case.source(noise, shape=(1, 1, side, side))

            def both(
                count: int,
                purpose: str,
                noise: Noise = noise,
                source: Tensor = source,
                methods: tuple[str, str] = methods,
                one_by_one: bool = one_by_one,
            ) -> tuple[Tensor, Tensor]:
                generator = case.generator(purpose)
                calls, rows = (count, 1) if one_by_one else (1, count)
                batch = source.expand(rows, -1, -1, -1).contiguous()
                drawn = [[getattr(noise, its)(batch, generator) for its in methods] for _ in range(calls)]
                first, second = (torch.cat(its).nan_to_num(nan=-1.0).flatten(1) for its in zip(*drawn, strict=True))
                return first, second

            together = goes_together(both, CALLS if one_by_one else _few(DRAWS, noise, side))
            require(not together, f"{what} are not independent: {together}")


@check("noise", share=0.2)
def no_noise_twice(case: NoiseCase) -> None:
    """Among many draws with much to tell them apart hardly two are the same, in a batch and one after the other."""
    noise = case.noise()
    side = _side(16, noise)
    source = _picture(noise, 0.4, side, ramp=False)
    if torch.equal(noise.draw(source, case.generator("try")), noise.clean(source)):
        source = case.source(noise, shape=(1, 1, side, side))  # it moves pixels about, which must differ to be seen
    many = source.expand(_few(MANY, noise, side), -1, -1, -1).contiguous()
    batch = noise.draw(many, case.generator("batch"))
    generator = case.generator("calls")
    calls = torch.cat([noise.draw(source, generator) for _ in range(min(CALLS, len(many)))])
    clean = noise.clean(source)
    telling = {what: _telling(draws, clean) for what, draws in (("of a batch", batch), ("in a row", calls))}
    if min(map(len, telling.values())) < CALLS // 4:
        not_applicable("the noise changes so little of a picture that draws may be the same by chance")
    for what, draws in telling.items():
        twice = len(draws) - len(torch.unique(draws.flatten(1), dim=0))
        few = f"of {len(draws)} draws {what} {twice} are the same noise as one before: there are only a few"
        require(twice <= MOST_TWICE * len(draws), few)


def _telling(draws: Tensor, clean: Tensor) -> Tensor:
    """Return the draws that have many different numbers in them, or a pattern: much, but not most, is changed."""
    deviations = (draws - clean).flatten(1)
    ordered = deviations.sort(1).values
    different = 1 + (ordered.diff(dim=1) > 1e-12).sum(1)
    changed = (deviations != 0).double().mean(1)
    pattern = (changed > 0.25) & (changed < 0.75)
    return draws[(different >= NUMBERS) | (pattern & (deviations.shape[1] >= 2 * NUMBERS))]


@check("noise", share=0.5)
def noise_of_a_picture_is_its_own(case: NoiseCase) -> None:
    """How strong the noise of a picture is does not depend on the other pictures of its batch; nor does ``clean``."""
    noise = case.noise()
    side = _side(4, noise)
    picture = 0.25 + 0.5 * case.source(noise, shape=(1, case.shape[1], side, side))
    others = {"dark": torch.zeros_like(picture), "bright": torch.ones_like(picture), "other": 1 - picture}
    alone = {name: torch.cat([picture, other, other]) for name, other in others.items()}
    cleans = {name: noise.clean(batch)[:1] for name, batch in alone.items()}
    for clean in cleans.values():
        require_same_bits(clean, cleans["dark"], "the clean picture is another with other pictures in its batch")
    drawn = {name: noise.draw(batch, case.generator("draw"))[:1] for name, batch in alone.items()}
    if all(torch.equal(other, drawn["dark"]) for other in drawn.values()):
        return
    # Not the same numbers, which may come from the order in which they are drawn: then of the same size on average.
    count = _few(DRAWS, noise, side)
    for name, other in others.items():

        def difference(draws: int, purpose: str, other: Tensor = other) -> Tensor:
            sizes: list[Tensor] = []
            for beside in (others["dark"], other):
                batch = torch.cat([picture.expand(draws, -1, -1, -1), beside.expand(draws, -1, -1, -1)])
                noisy = noise.draw(batch, case.generator(f"{purpose} {len(sizes)}"))[:draws]
                sizes.append((noisy - cleans["dark"]).abs().flatten(1).mean(1))
            return sizes[0] - sizes[1]

        off = is_off(difference, count)
        require(not off, f"beside {name} pictures the noise of a picture is stronger or weaker than beside dark ones")


@check("noise")
def picked_pixels_are_the_sources(case: NoiseCase) -> None:
    """Where ``picks_pixels`` is declared every pixel drawn is one of the source's, with all its channels, or unknown.

    Then pictures of bytes are taken too, and the same pixels of them are picked.
    """
    noise = case.noise()
    if not noise.picks_pixels:
        not_applicable("the noise is not declared to pick pixels")
    shape = (2, 3, max(2, case.shape[2]), max(2, case.shape[3]))
    height, width = shape[2] * noise.scale, shape[3] * noise.scale
    levels = torch.rand((2, 3, height, width), generator=case.generator("levels"), dtype=torch.float64)
    for source in (levels, levels.float(), (255 * levels).to(torch.uint8)):
        for method in (noise.draw, noise.target):
            picked = method(source, case.generator("draw"))
            require(picked.dtype == source.dtype, f"of pixels of {source.dtype} it makes {picked.dtype}")
            require(tuple(picked.shape) == shape, f"of {tuple(source.shape)} it picks {tuple(picked.shape)}")
            for index in range(len(source)):
                there = {tuple(pixel) for pixel in source[index].flatten(1).t().tolist()}
                given = [tuple(pixel) for pixel in picked[index].flatten(1).t().tolist()]
                wrong = [pixel for pixel in given if pixel not in there and pixel[0] == pixel[0]]
                require(not wrong, f"{len(wrong)} of {len(given)} pixels are none of the source's, such as {wrong[:1]}")
