from __future__ import annotations

from layerkit.training.save_interval import SaveInterval


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def over_after_each(interval: SaveInterval, steps: int) -> list[bool]:
    seen = []
    for _ in range(steps):
        interval.count_step()
        seen.append(interval.over)
    return seen


def test_every_so_many_steps():
    interval = SaveInterval(steps=3, minutes=None)
    assert not interval.over
    assert over_after_each(interval, 4) == [False, False, True, True]
    interval.restart()
    assert over_after_each(interval, 3) == [False, False, True]


def test_every_so_many_minutes():
    clock = Clock()
    interval = SaveInterval(minutes=2, clock=clock)
    clock.now = 119.0
    assert not interval.over
    clock.now = 120.0
    assert interval.over
    interval.restart()
    assert not interval.over
    clock.now = 240.0
    assert interval.over


def test_whichever_comes_first():
    clock = Clock()
    interval = SaveInterval(steps=2, minutes=1, clock=clock)
    assert over_after_each(interval, 2) == [False, True]
    interval.restart()
    clock.now = 60.0
    assert over_after_each(interval, 1) == [True]


def test_neither():
    assert not any(over_after_each(SaveInterval(minutes=None), 1000))
