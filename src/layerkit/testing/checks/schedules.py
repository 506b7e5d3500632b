"""The battery of schedules."""

from __future__ import annotations

import copy
import math

from layerkit.contracts.schedule import Schedule
from layerkit.testing.cases.case import ScheduleCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.jumps import jumps_of
from layerkit.testing.instruments.observation import nothing_global_touched, nothing_opened

ROUNDING = 1e-9


@check("schedule", large=1)
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


@check("schedule", large=1)
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


@check("schedule", share=0.6)
def undeclared_jumps(case: ScheduleCase) -> None:
    """The factor jumps where ``jumps()`` says so, or between two constants, and not elsewhere, as after a warmup."""
    factor, declared = case.schedule().factor, case.spec.jumps()
    for low, high in jumps_of(factor, 0.0, 1.0):
        before, after = factor(low), factor(high)
        moved = max(abs(factor(max(0.0, low - FLAT)) - before), abs(factor(min(1.0, high + FLAT)) - after))
        between_constants = moved <= 1e-12 + FLAT * abs(after - before)
        if not between_constants and all(abs(high - place) > ROUNDING for place in declared):
            raise CheckFailed(
                f"at a progress of {high:.9g} the factor jumps from {before:.6g} to {after:.6g}: "
                "declare it in jumps(), or find out why"
            )


FLAT = 1e-5
"""A factor that is constant over this much of a training on both sides of a jump is one of steps."""


@check("schedule", witness=True)
def declared_jumps(case: ScheduleCase) -> bool:
    """Where ``jumps()`` declares some the factor jumps there, in some example."""
    declared = case.spec.jumps()
    if not declared:
        not_applicable("jumps() declares none")
    factor = case.schedule().factor
    return all(jumps_of(factor, place - ROUNDING, min(1.0, place + ROUNDING), pieces=8) for place in declared)
