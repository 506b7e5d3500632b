from __future__ import annotations

import json

import pytest
import torch

from layerkit import Trainer, build, load_architecture
from layerkit.data.dataset import TrainingPairs, Validation
from layerkit.data.sources import load_dataset
from layerkit.denoising.denoiser import Denoiser
from layerkit.training.loop import EpochDone, StepDone, fit


@pytest.fixture
def parts(tiny) -> tuple[Trainer, TrainingPairs, Validation, Denoiser]:
    architecture = load_architecture(json.dumps(tiny.tree()))
    training, network = architecture.training, build(architecture)
    trainer = Trainer(network, training.loss.build(), training.optimizer.build(network.param()))
    shape = architecture.input.shape
    dataset = load_dataset(tiny.data, shape, training.noise.build(), 0, 1000)
    return trainer, dataset.train, dataset.validation, Denoiser(network, shape)


def places(events: list[StepDone | EpochDone]) -> list[tuple[int, ...]]:
    return [(event.epoch, event.batch) if isinstance(event, StepDone) else (event.epoch,) for event in events]


def test_steps_and_epochs_in_order(parts):
    events = list(fit(*parts, epochs=2, batch_size=16))
    assert places(events) == [(0, 0), (0, 1), (0, 2), (1,), (1, 0), (1, 1), (1, 2), (2,)]
    assert [event.pictures for event in events if isinstance(event, StepDone)] == [16, 16, 8] * 2
    assert events[3].evaluation.pictures == 6
    assert events[3].train_seconds > 0
    assert events[3].validation_seconds > 0


def test_it_begins_anywhere(parts):
    assert places(list(fit(*parts, epochs=2, batch_size=16, epoch=1, batch=2))) == [(1, 2), (2,)]
    assert places(list(fit(*parts, epochs=2, batch_size=16, epoch=1, batch=3))) == [(2,)]
    assert places(list(fit(*parts, epochs=2, batch_size=16, epoch=2))) == []


def test_progress_is_the_share_of_the_steps_of_all_epochs(parts, monkeypatch):
    def progress(**begin: int) -> list[float]:
        seen = []
        step = parts[0].step
        with monkeypatch.context() as patch:
            patch.setattr(parts[0], "step", lambda *pair: seen.append(parts[0].progress) or step(*pair))
            list(fit(*parts, epochs=2, batch_size=16, **begin))
        return seen

    assert progress() == [index / 6 for index in range(6)]
    assert progress(epoch=1, batch=1) == [4 / 6, 5 / 6]


def test_without_validation_pictures(parts):
    trainer, pairs, _, denoiser = parts
    events = list(fit(trainer, pairs, None, denoiser, epochs=1, batch_size=40))
    assert events[1].evaluation is None


def test_the_pairs_take_the_network_s_kind_of_number(parts):
    parts[0].network.to(dtype=torch.float64)
    assert len(list(fit(*parts, epochs=1, batch_size=40))) == 2


class Witness:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def before_step(self, noisy: torch.Tensor, target: torch.Tensor) -> None:
        self.calls.append(f"before {len(noisy)}")

    def inspect(self, noisy: torch.Tensor, target: torch.Tensor) -> None:
        self.calls.append(f"inspect {len(noisy)}")


def test_the_inspector_is_asked_before_a_step_and_after_one_that_failed(parts, monkeypatch):
    trainer, witness = parts[0], Witness()
    events = fit(*parts, epochs=1, batch_size=16, inspector=witness)
    next(events)
    monkeypatch.setattr(trainer, "step", lambda noisy, target: {}["key"])
    with pytest.raises(KeyError):
        next(events)
    assert witness.calls == ["before 16", "before 16", "inspect 16"]
