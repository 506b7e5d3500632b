from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.optim import lr_scheduler

from layerkit.builtin.schedules.cosine import Cosine, CosineSpec
from layerkit.builtin.schedules.linear import LinearSchedule, LinearScheduleSpec
from layerkit.contracts.specs import ScheduleSpec


def of_torch(schedulers: list[Any], milestones: list[int], steps: int) -> list[float]:
    """Return the rates of torch's schedulers, one after the other, for a learning rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(())], lr=1.0)
    chained = lr_scheduler.SequentialLR(optimizer, [make(optimizer) for make in schedulers], milestones)
    rates = []
    for _ in range(steps):
        rates.append(chained.get_last_lr()[0])
        optimizer.step()
        chained.step()
    return rates


def rising(steps: int) -> Any:
    return lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: step / steps)


def factors(schedule: Any, steps: int) -> list[float]:
    return [schedule.factor(step / steps) for step in range(steps)]


# SequentialLR warns of its own way of calling its schedulers.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_warmup_is_followed_by_the_rest_of_the_curve():
    fall = [
        rising(8),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=32, eta_min=0.1),
    ]
    assert factors(Cosine(warmup=0.2, final=0.1), 40) == pytest.approx(of_torch(fall, [8], 40), abs=1e-12)
    fall[1] = lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, end_factor=0.1, total_iters=32)
    assert factors(LinearSchedule(warmup=0.2, final=0.1), 40) == pytest.approx(of_torch(fall, [8], 40), abs=1e-12)


@pytest.mark.parametrize("schedule", [Cosine, LinearSchedule])
@pytest.mark.parametrize("warmup", [0.0, 0.3, math.nextafter(1, 0)])
@pytest.mark.parametrize("final", [0.0, 0.25, 1.0])
def test_the_curves_begin_rise_and_end_as_they_should(schedule, warmup, final):
    curve = schedule(warmup, final)
    assert curve.factor(0.0) == (0.0 if warmup else 1.0)
    assert curve.factor(warmup) == 1.0
    assert curve.factor(1.0) == final
    assert curve.factor(warmup / 2) == (0.5 if warmup else 1.0)


def test_halfway_down_both_curves_are_in_the_middle_and_the_cosine_is_flatter_at_its_ends():
    assert Cosine(0.5, 0.2).factor(0.75) == pytest.approx(0.6)
    assert LinearSchedule(0.5, 0.2).factor(0.75) == pytest.approx(0.6)
    assert Cosine().factor(0.1) > LinearSchedule().factor(0.1)
    assert Cosine().factor(0.9) < LinearSchedule().factor(0.9)


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (CosineSpec, {"warmup": 1.0}, "less than 1"),
        (CosineSpec, {"warmup": -0.1}, "greater than or equal to 0"),
        (CosineSpec, {"final": 1.5}, "less than or equal to 1"),
        (LinearScheduleSpec, {"final": -1.0}, "greater than or equal to 0"),
        (LinearScheduleSpec, {"warmup": "0.1"}, "valid number"),
    ],
)
def test_fields_are_bounded(spec: type[ScheduleSpec], fields: dict[str, Any], message: str):
    text = json.dumps({"type": spec.name(), **fields})
    with pytest.raises(ValidationError, match=re.escape(message)):
        spec.model_validate_json(text)


def test_each_cycle_is_the_whole_curve_and_the_first_is_that_of_a_training_of_its_length():
    curve, once = Cosine(0.1, 0.2, cycles=4), Cosine(0.1, 0.2)
    assert factors(curve, 160) == pytest.approx(4 * factors(once, 40), abs=1e-12)
    assert factors(curve, 160)[:40] == factors(once, 40)
    assert curve.factor(1.0) == 0.2
    less = factors(Cosine(0.1, 0.2, cycles=2, decay=0.25), 80)
    assert less == pytest.approx([*factors(once, 40), *(factor / 4 for factor in factors(once, 40))], abs=1e-12)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        CosineSpec.model_validate_json('{"type": "cosine", "cycles": 0}')
