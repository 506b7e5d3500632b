from __future__ import annotations

from types import SimpleNamespace

from rich.progress import Progress

from layerkit.cli import progress as module
from layerkit.cli.progress import _Bars
from layerkit.training.loop import StepDone


def test_the_speed_is_that_of_the_steps_since_the_first(monkeypatch):
    now = iter([5.0, 5.05, 5.5, 7.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(now))
    training = SimpleNamespace(epochs=1, batch_size=4)
    session = SimpleNamespace(
        architecture=SimpleNamespace(training=training),
        dataset=SimpleNamespace(train=range(100)),
        curve=SimpleNamespace(points=[]),
    )
    shown = []
    with Progress(disable=True) as progress:
        monkeypatch.setattr(
            progress, "update", lambda task, **fields: shown.append((fields["completed"], fields["speed"]))
        )
        bars = _Bars(session, progress)
        for batch in range(3, 7):
            bars.step(StepDone(0, batch, 0.5, 4))
    assert shown == [(24, "16 pictures/s"), (28, "6 pictures/s")]
