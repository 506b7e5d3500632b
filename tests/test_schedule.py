from __future__ import annotations

import math
from typing import Any

import pytest

from layerkit.errors import RunError
from layerkit.schedule import Schedule


class Given(Schedule):
    def __init__(self, value: Any) -> None:
        self.value = value

    def factor(self, progress: float) -> float:
        return self.value


def test_a_factor_is_given_on():
    assert Given(0.25)(0.5) == 0.25
    assert Given(0)(0.5) == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.5])
def test_what_no_learning_rate_can_be_multiplied_by(value):
    message = rf"Given.factor\(0.5\) gave {value}, expected a finite number, 0 or more; this is a mistake"
    with pytest.raises(RunError, match=message):
        Given(value)(0.5)


@pytest.mark.parametrize("value", [None, "one", 1j])
def test_what_is_no_number(value):
    with pytest.raises(RunError, match=r"Given.factor\(0.5\) failed \((TypeError|ValueError): .*report it there"):
        Given(value)(0.5)
