"""What the checks look with sees what is there, and nothing that is not."""

from __future__ import annotations

import math
import os
import random
import time

import pytest
import torch

from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.subjects import subjects
from layerkit.testing.check import CheckFailed, NotApplicable
from layerkit.testing.instruments.elsewhere import elsewhere
from layerkit.testing.instruments.jumps import jumps_of
from layerkit.testing.instruments.numerics import check_jointly, settles_along
from layerkit.testing.instruments.outcomes import outcome_of
from layerkit.testing.instruments.statistics import goes_together, is_off
from layerkit.testing.instruments.surroundings import (
    OtherDefaults,
    another_place_and_time,
    modules_of,
    other_variables,
    variables_asked_for,
)
from layerkit.testing.profiles import QUICK


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t,
        lambda t: t**0.1,
        lambda t: math.sin(50 * t) / (t + 0.001),
        lambda t: math.tanh(1e6 * (t - 0.3)),
        lambda t: abs(t - 0.7) ** 0.5,
    ],
)
def test_what_is_continuous_does_not_jump(function: object) -> None:
    assert jumps_of(function, 0.0, 1.0) == []


@pytest.mark.parametrize("place", [0.0, 1e-9, 0.1, 1 / 3, 0.999, 1.0])
@pytest.mark.parametrize("size", [1e-4, 1.0])
def test_a_jump_is_found_between_two_neighbouring_numbers(place: float, size: float) -> None:
    def function(t: float) -> float:
        return t * t + (size if (t >= place and place) or (t > 0 and not place) else 0.0)

    ((below, above),) = jumps_of(function, 0.0, 1.0)
    assert below < above == math.nextafter(below, math.inf)
    assert above == pytest.approx(place, abs=1e-12)


def normal(count: int, purpose: str) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(hash_of(purpose)))


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def test_a_mean_that_is_off_is_told_from_one_that_is_not() -> None:
    assert is_off(normal, 400) == 0
    assert is_off(lambda count, purpose: normal(count, purpose) + 0.5, 400) == pytest.approx(0.5, abs=0.1)
    rare = is_off(lambda count, purpose: 100.0 * (normal(count, purpose) > 2.3263) - 1.0, 400)
    assert rare == 0, "one in a hundred, a hundred times as large"


def test_numbers_that_go_together_are_found_in_any_place_and_with_any_sign() -> None:
    def pair(other: torch.Tensor, count: int, purpose: str) -> tuple[torch.Tensor, torch.Tensor]:
        first = normal(9 * count, purpose).reshape(count, 9)
        return first, other(first)

    def signs(first: torch.Tensor) -> torch.Tensor:
        return first * (2 * (normal(len(first), "signs") > 0)[:, None] - 1)

    assert "brighter" in goes_together(lambda *a: pair(lambda first: first.roll(1, 1), *a), 80)
    assert "brighter" in goes_together(lambda *a: pair(torch.neg, *a), 80)
    assert "far from its mean" in goes_together(lambda *a: pair(signs, *a), 400)
    assert not goes_together(lambda *a: pair(lambda first: normal(first.numel(), "own").reshape(first.shape), *a), 400)


def test_all_gradients_are_held_against_one_difference_and_the_wrong_one_is_named() -> None:
    a, b = torch.randn(50, 40, dtype=torch.float64), torch.randn(40, dtype=torch.float64)
    cotangent = torch.randn(50, dtype=torch.float64)

    def check(of_a: torch.Tensor, of_b: torch.Tensor) -> None:
        tensors = {"a": (a, of_a), "b": (b, of_b)}
        check_jointly(lambda: a @ b, tensors, cotangent, torch.Generator().manual_seed(0))

    right = cotangent[:, None] * b, a.t() @ cotangent
    check(*right)
    wrong = right[1].clone()
    wrong[7] *= 1.05
    with pytest.raises(CheckFailed, match=r"the gradient of b: 1 of 40 values are wrong, .* at \(7,\)"):
        check(right[0], wrong)


@pytest.mark.parametrize(("function", "settled"), [(torch.tanh, True), (torch.abs, False), (torch.sign, False)])
def test_where_there_is_a_derivative_differences_settle(function: object, settled: bool) -> None:
    x, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    assert settles_along(lambda: function(x), x, one, torch.Generator().manual_seed(0)) is settled


def test_another_place_and_time_is_undone() -> None:
    import sys

    here = sys.modules[__name__]
    before = hash("text"), os.getpid()
    with another_place_and_time([here]):
        assert hash("text") != before[0] and hash(3) == 3
        assert os.getpid() != before[1]
        assert time.gmtime().tm_year > time.gmtime(0).tm_year
    assert (hash("text"), os.getpid()) == before


def test_only_variables_that_a_components_own_code_asks_for_are_noted() -> None:
    import sys

    with variables_asked_for([sys.modules[__name__]]) as asked:
        os.environ.get("LAYERKIT_ASKED_FOR")
        random.seed(0)
    assert asked == {"LAYERKIT_ASKED_FOR"}
    with other_variables(asked):
        assert os.environ["LAYERKIT_ASKED_FOR"]
    assert "LAYERKIT_ASKED_FOR" not in os.environ


def test_under_other_defaults_only_floats_without_a_device_lie_elsewhere() -> None:
    x = torch.ones(2, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with OtherDefaults(torch.float64):
        assert torch.zeros(2).device.type == "meta"
        assert torch.zeros(2).dtype == torch.float64
        for made in (
            torch.zeros(2, device=x.device),
            torch.zeros_like(x),
            torch.rand(2, generator=generator),
            torch.arange(3),
            torch.tensor(2.0),
        ):
            assert made.device.type == "cpu"
        assert torch.rand(2, generator=generator).dtype == torch.float64
        assert torch.rand(2, generator=generator, dtype=x.dtype).dtype == x.dtype
    assert torch.zeros(2).device.type == "cpu"


@pytest.mark.parametrize("name", ["conv2d", "mse", "sgd", "gaussian", "cosine"])
def test_another_process_gives_the_same(name: str) -> None:
    (subject,) = subjects([name])
    case = Examples(subject, QUICK).all[-1]
    there, here = elsewhere().outcome(case), outcome_of(case)
    assert there.keys() == here.keys()
    assert all(torch.equal(there[key], value) for key, value in here.items())


def test_what_another_process_cannot_import_is_left_out_with_a_reason() -> None:
    from zoo_building import Bent, spec_of

    (subject,) = subjects([spec_of(Bent)])
    case = Examples(subject, QUICK).all[0]
    with pytest.raises(NotApplicable, match="another process does not find the class"):
        elsewhere().outcome(case)


def test_modules_of_a_component_are_those_of_its_package() -> None:
    (subject,) = subjects(["conv2d"])
    names = {module.__name__ for module in modules_of(subject.spec)}
    assert "layerkit.builtin.layers.conv2d" in names
    assert all(name.startswith("layerkit.builtin.layers") for name in names)
