from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from pydantic import ValidationError

from layerkit.builtin.schedules.steps import Steps, StepsSpec


def test_steps_count_a_milestone_from_the_step_that_begins_there():
    curve = Steps([0.25, 0.5], gamma=0.5)
    assert [curve.factor(step / 8) for step in range(8)] == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert curve.factor(math.nextafter(0.25, 0)) == 1
    assert Steps([0.5], gamma=0).factor(0.5) == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"milestones": []}, "at least 1 item"),
        ({"milestones": [0.5, 0.5]}, "expected numbers in increasing order, got 0.5 after 0.5"),
        ({"milestones": [0.75, 0.5]}, "expected numbers in increasing order, got 0.5 after 0.75"),
        ({"milestones": [0.0]}, "greater than 0"),
        ({"milestones": [1.0]}, "less than 1"),
        ({"milestones": ["0.5"]}, "valid number"),
        ({"milestones": [k / 200 for k in range(1, 102)]}, "at most 100 items"),
        ({"milestones": [0.5], "gamma": 2.0}, "less than or equal to 1"),
    ],
)
def test_fields_are_bounded(fields: dict[str, Any], message: str):
    text = json.dumps({"type": "steps", **fields})
    with pytest.raises(ValidationError, match=re.escape(message)):
        StepsSpec.model_validate_json(text)
