"""Stops in the middle of a training."""

from __future__ import annotations

import signal

import pytest
import torch

from layerkit.training.trainer import Trainer


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the training receive SIGTERM during its nth step."""
    step, left = Trainer.step, [steps]

    def counted(self: Trainer, *pair: torch.Tensor) -> float:
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        return step(self, *pair)

    monkeypatch.setattr(Trainer, "step", counted)
