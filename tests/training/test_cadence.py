from __future__ import annotations

from layerkit.training.cadence import Cadence


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_so_many_steps():
    cadence = Cadence(steps=3, minutes=None)
    assert [cadence.due() for _ in range(3)] == [False, False, True]
    cadence.saved()
    assert [cadence.due() for _ in range(3)] == [False, False, True]


def test_every_so_many_minutes():
    clock = Clock()
    cadence = Cadence(minutes=2, clock=clock)
    clock.now = 119.0
    assert not cadence.due()
    clock.now = 120.0
    assert cadence.due()
    cadence.saved()
    assert not cadence.due()
    clock.now = 240.0
    assert cadence.due()


def test_whichever_comes_first():
    clock = Clock()
    cadence = Cadence(steps=2, minutes=1, clock=clock)
    assert [cadence.due(), cadence.due()] == [False, True]
    cadence.saved()
    clock.now = 60.0
    assert cadence.due()


def test_neither():
    cadence = Cadence(minutes=None)
    assert not any(cadence.due() for _ in range(1000))
