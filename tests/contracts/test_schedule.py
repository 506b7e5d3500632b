from __future__ import annotations

import json
import math
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from layerkit import ScheduleSpec, load_architecture
from layerkit.contracts.schedule import Schedule
from layerkit.errors import RunError, SpecError
from layerkit.registry.catalogue import collect
from layerkit.registry.discovery import Plugin, PluginSettings, discover
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session


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


class HalvedSpec(ScheduleSpec):
    """A stranger's: the rate as often halved as ``times`` says."""

    type: Literal["halved"] = Field(description="The name.")
    times: int = Field(ge=0, le=100, description="Halvings.")

    def build(self) -> Schedule:
        return Halved(self.times)


class Halved(Schedule):
    spoilt: ClassVar[bool] = False

    def __init__(self, times: int) -> None:
        self.times = times

    def factor(self, progress: float) -> float:
        return -1.0 if self.spoilt and progress > 0.5 else 0.5 ** (self.times * progress)


STRANGER = Plugin("stranger", "stranger", "1.0", "stranger", hooks={"layerkit_schedules": lambda: [HalvedSpec]})
CATALOGUE = collect([*discover(PluginSettings()), STRANGER])


def session_of(folder, tiny, schedule: dict[str, Any]) -> Session:
    architecture = load_architecture(json.dumps(tiny.tree(schedule=schedule)), catalogue=CATALOGUE)
    return Session.open(Run.start(folder / "run", architecture, Settings(data=str(tiny.data))), CATALOGUE)


def test_a_stranger_s_schedule_stands_in_json(tmp_path, tiny):
    session = session_of(tmp_path, tiny, {"type": "halved", "times": 3})
    rates = []
    for _ in session.events():
        rates.append(session.trainer.optimizer.lr)
    assert session.architecture.requires["schedule"] == {"halved": "stranger==1.0"}
    assert rates[0] == 0.05
    assert rates[-1] == pytest.approx(0.05 * 0.5 ** (3 * 19 / 20))


def test_a_stranger_s_schedule_that_is_broken_ends_the_run_with_its_name(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(Halved, "spoilt", True)
    session = session_of(tmp_path, tiny, {"type": "halved", "times": 3})
    with pytest.raises(RunError, match=r"Halved.factor\(0.55\) gave -1.0, expected a finite number"):
        list(session.events())


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"type": "cosin"}, 'schedule.type (cosin): unknown schedule "cosin"; did you mean "cosine"?'),
        ({"type": "mse"}, 'unknown schedule "mse"; it is the name of a loss'),
        ({"type": 3}, 'expected the name of a schedule in quotes, such as "cosine" or "halved", got 3'),
        ("cosine", 'expected an object such as {"type": "cosine"}, got "cosine"'),
        ({"warmup": 0.1}, 'missing; say which schedule this is, such as "cosine" or "halved"'),
        ({"type": "cosine", "warmup": 2}, "training.schedule.warmup (cosine)"),
        ({"type": "steps", "milestones": [0.5, 0.25]}, "expected numbers in increasing order, got 0.25 after 0.5"),
    ],
)
def test_mistakes_are_told_at_their_place(tiny, schedule, message):
    with pytest.raises(SpecError) as error:
        load_architecture(json.dumps(tiny.tree(schedule=schedule)), catalogue=CATALOGUE)
    assert message in str(error.value)
    assert "training.schedule" in str(error.value)


def test_no_schedule_may_be_said(tiny):
    assert load_architecture(json.dumps(tiny.tree(schedule=None)), catalogue=CATALOGUE).training.schedule is None
