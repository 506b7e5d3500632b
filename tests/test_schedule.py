from __future__ import annotations

from layerkit.schedule import Schedule


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_so_many_steps():
    schedule = Schedule(steps=3, minutes=None)
    assert [schedule.due() for _ in range(3)] == [False, False, True]
    schedule.saved()
    assert [schedule.due() for _ in range(3)] == [False, False, True]


def test_every_so_many_minutes():
    clock = Clock()
    schedule = Schedule(minutes=2, clock=clock)
    clock.now = 119.0
    assert not schedule.due()
    clock.now = 120.0
    assert schedule.due()
    schedule.saved()
    assert not schedule.due()
    clock.now = 240.0
    assert schedule.due()


def test_whichever_comes_first():
    clock = Clock()
    schedule = Schedule(steps=2, minutes=1, clock=clock)
    assert [schedule.due(), schedule.due()] == [False, True]
    schedule.saved()
    clock.now = 60.0
    assert schedule.due()


def test_neither():
    schedule = Schedule(minutes=None)
    assert not any(schedule.due() for _ in range(1000))
