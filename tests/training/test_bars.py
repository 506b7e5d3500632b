from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import Quality
from layerkit.training import bars as module
from layerkit.training.bars import Bars, Enduring, epoch_line
from layerkit.training.loop import EpochDone, StepDone


def test_the_speed_is_that_of_the_steps_since_the_first(monkeypatch):
    now = iter([5.0, 5.05, 5.5, 7.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(now))
    training = SimpleNamespace(epochs=1, batch_size=4)
    session = SimpleNamespace(
        architecture=SimpleNamespace(trained=training),
        pairs=range(100),
        curve=SimpleNamespace(points=[]),
    )
    shown = []
    with Progress(disable=True) as progress:
        monkeypatch.setattr(
            progress, "update", lambda task, **fields: shown.append((fields["completed"], fields["speed"]))
        )
        bars = Bars(session, progress)
        for batch in range(3, 7):
            bars.step(StepDone(0, batch, 0.5, 4, 0.1))
    assert shown == [(24, "16 pictures/s"), (28, "6 pictures/s")]


QUALITIES = Quality(psnr_mean=20.0, psnr_of_mse=19.0, ssim=0.5), Quality(psnr_mean=25.125, psnr_of_mse=24.0, ssim=0.75)


def test_an_epoch_s_line_has_the_headline_and_every_other_metric():
    evaluation = Evaluation(6, *QUALITIES, constant=10.0)
    line = epoch_line(EpochDone(2, evaluation, 3.0, 1.0), 5)
    assert line == "epoch 2/5 took 3 s: validation 25.12 dB (noisy 20.00 dB), SSIM 0.750 (noisy 0.500)"
    assert epoch_line(EpochDone(2, None, 3.0, 1.0), 5) == "epoch 2/5 took 3 s"


def test_an_epoch_s_line_says_what_is_estimated_and_that_nothing_was_learned():
    estimated = Evaluation(
        6,
        Quality(psnr_mean=None, psnr_of_mse=19.0, ssim=None),
        Quality(psnr_mean=None, psnr_of_mse=10.25, ssim=None),
        constant=10.0,
        estimated=True,
    )
    assert epoch_line(EpochDone(1, estimated, 3.0, 1.0), 5) == (
        "epoch 1/5 took 3 s: validation 10.25 dB (noisy 19.00 dB, both estimated). warning: 10.25 dB is no better than "
        "one constant colour (10.00 dB): the network has learned nothing; try another learning rate"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_bars_on_a_terminal_that_is_closed_are_lost_and_nothing_else():
    ours, theirs = os.openpty()
    with open(theirs, "w") as terminal:
        console = Console(file=Enduring(terminal))
        assert console.is_terminal
        with Progress(console=console) as progress:
            progress.add_task("work")
            progress.refresh()
            assert os.read(ours, 1000)
            os.close(ours)
            with pytest.raises(OSError, match="Input/output"):
                os.write(theirs, b"x")
            progress.console.print("a line")
        os.write(theirs, b"goes nowhere")
