"""The battery of schedules."""

from __future__ import annotations

import copy
import math

from layerkit.contracts.schedule import Schedule
from layerkit.testing.cases.case import ScheduleCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.observation import nothing_global_touched, nothing_opened

ROUNDING = 1e-9


@check("schedule")
def factor_is_a_finite_number(case: ScheduleCase) -> None:
    """The factor is one number, finite and not negative, for every progress from 0 to 1, both ends included."""
    schedule = case.schedule()
    require(isinstance(schedule, Schedule), f"build returns {type(schedule).__name__}, not a Schedule")
    for progress in case.places():
        factor = schedule.factor(progress)
        require(_is_number(factor), f"factor({progress}) is a {type(factor).__name__}, and should be a number")
        require(0 <= factor < math.inf, f"factor({progress}) is {factor}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@check("schedule")
def factor_has_no_memory(case: ScheduleCase) -> None:
    """The factor depends only on the progress: the same again, in any order, in another schedule and in a copy.

    A training that goes on after an interruption asks a new schedule, in the middle.
    """
    places = case.places()
    schedule = case.schedule()
    with nothing_global_touched("factor"), nothing_opened("factor"):
        expected = {progress: schedule.factor(progress) for progress in places}
    twins = {
        "when asked again": (schedule, places),
        "when asked in the reverse order": (schedule, places[::-1]),
        "of a new schedule, asked in the reverse order": (case.schedule(), places[::-1]),
        "of a deep copy": (copy.deepcopy(schedule), places),
    }
    for who, (twin, order) in twins.items():
        for progress in order:
            factor = twin.factor(progress)
            if factor != expected[progress]:
                message = f"factor({progress}) is another one {who}"
                raise CheckFailed(message, analytic=factor, numeric=expected[progress])


@check("schedule", witness=True)
def factor_changes(case: ScheduleCase) -> bool:
    """The factor is not the same during the whole training, in some example."""
    schedule = case.schedule()
    return len({schedule.factor(progress) for progress in case.places()}) > 1


@check("schedule")
def ends_are_true(case: ScheduleCase) -> None:
    """The factors at progress 0 and 1 are those that ``ends()`` declares."""
    declared = case.spec.ends()
    if declared is None:
        not_applicable("ends() declares nothing")
    schedule = case.schedule()
    for progress, expected in zip((0.0, 1.0), declared, strict=True):
        factor = schedule.factor(progress)
        if not abs(factor - expected) <= ROUNDING:
            raise CheckFailed(f"factor({progress}) is not what ends() declares", analytic=factor, numeric=expected)
