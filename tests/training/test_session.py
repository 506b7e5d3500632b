"""A training that is interrupted, anywhere and often, has the bits of one that never was."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import layerkit.training.progress
from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.builtin.optimizers.sgd import SGD
from layerkit.checkpoints.checkpoint import load
from layerkit.data.noise_level import estimate_range
from layerkit.data.pairs import seeded_generator
from layerkit.data.sources import load_dataset
from layerkit.errors import CheckpointError, DataError, DivergedError, RunError, StoppedError, UserError
from layerkit.registry.catalogue import installed
from layerkit.spec.loading import load_architecture
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.run import Run, Settings
from layerkit.training.save_interval import SaveInterval
from layerkit.training.session import Session
from layerkit.training.trainer import Trainer

OPTIMIZERS = [component.example | {"lr": 0.01} for component in installed().of_kind("optimizer")]


def start(folder: Path, tree: dict[str, Any], data: Path, **settings: Any) -> None:
    architecture = load_architecture(json.dumps(tree))
    Run.start(folder, architecture, Settings(data=str(data), **settings)).close()


def go_on(folder: Path, stop_after: int | None = None, **options: Any) -> list[float]:
    """Train until the end, or until it is asked to stop after a number of steps, and return the losses."""
    losses: list[float] = []
    with Run.open(folder) as run:
        session = Session.open(run, installed(), **options)
        begin = session.curve.pictures

        def asked_to_stop() -> int | None:
            steps = (session.curve.pictures - begin) // session.architecture.training.batch_size
            return signal.SIGTERM if steps == stop_after else None

        try:
            for event in session.events(asked_to_stop):
                losses += [event.loss] if isinstance(event, StepDone) else []
        except StoppedError as stopped:
            assert stopped.exit_code == 143
    return losses


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "checkpoint.safetensors")


def assert_same_run(folder: Path, whole: Path) -> None:
    ours, theirs = tensors(folder), tensors(whole)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    ours, theirs = (load(path / "checkpoint.safetensors") for path in (folder, whole))
    assert ours.noise_range == theirs.noise_range
    ours, theirs = ours.position, theirs.position
    for position in (ours, theirs):  # durations differ, and so does their length in the metrics
        for name in ("metrics", "metrics_sha256", "seconds", "epoch_seconds"):
            del position[name]
    assert ours == theirs
    ours, theirs = (
        [line | {"seconds": 0} for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())]
        for path in (folder, whole)
    )
    assert ours == theirs


def interrupted(folder: Path, tree: dict[str, Any], data: Path, stops: Sequence[int]) -> list[float]:
    """Return the losses of a run that is stopped after so many steps, each time counted anew."""
    start(folder, tree, data)
    losses: list[float] = []
    for steps in stops:
        losses += go_on(folder, steps)
    return losses + go_on(folder)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make points of the loss curve that do not fall on ends of epochs."""
    monkeypatch.setattr("layerkit.training.progress.PICTURES_A_POINT", 12)


# The same bits


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda example: example["type"])
def test_every_optimizer_goes_on_to_the_same_bits(tmp_path, tiny, optimizer, points):
    tree = tiny.tree(optimizer=optimizer)
    start(tmp_path / "whole", tree, tiny.data)
    whole = go_on(tmp_path / "whole")
    assert len(whole) == 20
    # In an epoch, at its end, at the last step but one, at the last.
    for stops in ([3], [10], [19], [20], [1, 1, 6, 2, 5]):
        folder = tmp_path / "-".join(map(str, stops))
        assert interrupted(folder, tree, tiny.data, stops) == whole
        assert_same_run(folder, tmp_path / "whole")


def test_an_optimizer_that_draws_random_numbers_goes_on_to_the_same_bits(tmp_path, tiny, points, monkeypatch):
    steps = SGD.step

    def shaken(self: SGD) -> None:
        steps(self)
        for parameter in self.parameters:
            parameter.add_(torch.randn(parameter.shape, generator=self.generator), alpha=1e-4)

    monkeypatch.setattr(SGD, "step", shaken)
    monkeypatch.setattr(SGD, "state_dict", lambda self: {"generator": self.generator.get_state()})
    tree = tiny.tree(optimizer={"type": "sgd", "lr": 0.1})
    start(tmp_path / "whole", tree, tiny.data)
    whole = go_on(tmp_path / "whole")
    assert interrupted(tmp_path / "parts", tree, tiny.data, [3, 8]) == whole
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    with Run.open(tmp_path / "parts") as run:
        session = Session.open(run, installed())
    seed = seeded_generator(session.architecture.trained.seed).initial_seed()
    assert session.trainer.optimizer.generator.initial_seed() == seed


SCHEDULES = [component.example for component in installed().of_kind("schedule")]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda example: example["type"])
def test_every_schedule_goes_on_to_the_same_bits_and_so_does_a_loss_that_looks_at_the_progress(
    tmp_path, tiny, schedule, points
):
    training = {"optimizer": {"type": "adam", "lr": 0.01}, "loss": {"type": "annealed_l0"}}
    for name, tree in (("whole", tiny.tree(**training, schedule=schedule)), ("constant", tiny.tree(**training))):
        start(tmp_path / name, tree, tiny.data)
    whole = go_on(tmp_path / "whole")
    assert whole != go_on(tmp_path / "constant")
    for stops in ([3], [10], [19], [1, 1, 6, 2, 5]):
        folder = tmp_path / "-".join(map(str, stops))
        assert interrupted(folder, tiny.tree(**training, schedule=schedule), tiny.data, stops) == whole
        assert_same_run(folder, tmp_path / "whole")


def test_more_epochs_stretch_the_rest_of_a_schedule(tmp_path, tiny):
    def rates(**options: Any) -> list[float]:
        with Run.open(tmp_path / "run") as run:
            session = Session.open(run, installed(), **options)
            optimizer = session.trainer.optimizer
            return [optimizer.lr for event in session.events() if isinstance(event, StepDone)]

    tree = tiny.tree(optimizer={"type": "sgd", "lr": 0.04}, schedule={"type": "linear"}, epochs=1)
    start(tmp_path / "run", tree, tiny.data)
    assert rates() == pytest.approx([0.04 * (1 - step / 10) for step in range(10)])
    assert rates(epochs=4) == pytest.approx([0.04 * (1 - step / 40) for step in range(10, 40)])


def test_every_checkpoint_holds_the_noise_of_the_training_inputs(tmp_path, tiny):
    inputs, _ = load_dataset(tiny.data, (3, 8, 8), Gaussian(25), seed=0, samples=50_000).train.chunk(0, 0)
    start(tmp_path / "run", tiny.tree(seed=0), tiny.data)
    for steps in (2, None):
        go_on(tmp_path / "run", steps)
        assert load(tmp_path / "run" / "checkpoint.safetensors").noise_range == estimate_range(inputs)


def test_every_step_is_a_place_to_stop(tmp_path, tiny, points, thorough):
    tree = tiny.tree(optimizer={"type": "adam"}, epochs=5)
    start(tmp_path / "whole", tree, tiny.data)
    whole = go_on(tmp_path / "whole")
    places = [[step] for step in (range(1, 41) if thorough else range(1, 41, 9))]
    generator = torch.Generator().manual_seed(0)
    for _ in range(50 if thorough else 3):  # chains of one to four interruptions
        count = int(torch.randint(1, 5, (), generator=generator))
        places.append(torch.randint(1, 50 // count, (count,), generator=generator).tolist())
    for number, stops in enumerate(places):
        assert interrupted(tmp_path / str(number), tree, tiny.data, stops) == whole
        assert_same_run(tmp_path / str(number), tmp_path / "whole")


def test_slices_of_a_batch_and_generators_go_on_too(tmp_path, tiny, points, monkeypatch):
    monkeypatch.setattr("layerkit.arithmetic.division.NUMBERS_AT_ONCE", 1000)  # two samples
    tree = tiny.tree(batch_size=7)
    tree["layers"][1]["layers"][0] = {"type": "dropout"}
    start(tmp_path / "whole", tree, tiny.data)
    whole = go_on(tmp_path / "whole")
    assert interrupted(tmp_path / "cut", tree, tiny.data, [1, 4, 2]) == whole
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_steps_that_are_looked_at_together_make_the_same_run(tmp_path, tiny, points, monkeypatch):
    start(tmp_path / "whole", tiny.tree(), tiny.data)
    whole = go_on(tmp_path / "whole")
    monkeypatch.setattr(Trainer, "steps_ahead", 3)
    start(tmp_path / "cut", tiny.tree(), tiny.data)
    with Run.open(tmp_path / "cut") as run:
        events = Session.open(run, installed(), SaveInterval(steps=4)).events()
        first = [next(events) for _ in range(8)]  # as if killed when the last of nine steps is not reported yet
    assert [event.settled for event in first] == [False, False, True, False, False, True, False, False]
    assert load(tmp_path / "cut" / "checkpoint.safetensors").position["batch"] == 6  # no state is saved between steps
    assert [event.loss for event in first[:6]] + go_on(tmp_path / "cut") == whole
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_chain_of_interruptions_after_every_step(tmp_path, tiny, points):
    start(tmp_path / "whole", tiny.tree(), tiny.data)
    whole = go_on(tmp_path / "whole")
    assert interrupted(tmp_path / "chain", tiny.tree(), tiny.data, [1] * 20) == whole
    assert_same_run(tmp_path / "chain", tmp_path / "whole")


def test_what_came_after_the_last_checkpoint_is_done_again(tmp_path, tiny, points):
    start(tmp_path / "whole", tiny.tree(), tiny.data)
    whole = go_on(tmp_path / "whole")
    start(tmp_path / "cut", tiny.tree(), tiny.data)
    with Run.open(tmp_path / "cut") as run:
        events = Session.open(run, installed(), SaveInterval(steps=4)).events()
        for _ in range(7):  # as if killed in the eighth step, with a line in the metrics that no checkpoint knows
            next(events)
    assert (tmp_path / "cut" / "metrics.jsonl").read_text().count("\n") == 2
    assert go_on(tmp_path / "cut") == whole[4:]
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_run_without_a_checkpoint_begins_again(tmp_path, tiny, points):
    start(tmp_path / "whole", tiny.tree(), tiny.data)
    whole = go_on(tmp_path / "whole")
    start(tmp_path / "cut", tiny.tree(), tiny.data)
    with Run.open(tmp_path / "cut") as run:
        events = Session.open(run, installed()).events()
        for _ in range(5):
            next(events)
    assert go_on(tmp_path / "cut") == whole


def test_validation_changes_nothing(tmp_path, tiny):
    import numpy as np

    arrays = np.load(tiny.data)
    np.savez(tmp_path / "alone.npz", noisy_1=arrays["noisy_1"], noisy_2=arrays["noisy_2"])
    for name, data in (("with", tiny.data), ("without", tmp_path / "alone.npz")):
        start(tmp_path / name, tiny.tree(), data)
    assert go_on(tmp_path / "with") == go_on(tmp_path / "without")
    ours, theirs = tensors(tmp_path / "with"), tensors(tmp_path / "without")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_more_epochs_are_those_of_a_longer_run(tmp_path, tiny, points):
    start(tmp_path / "long", tiny.tree(epochs=3), tiny.data)
    whole = go_on(tmp_path / "long")
    start(tmp_path / "short", tiny.tree(epochs=2), tiny.data)
    losses = go_on(tmp_path / "short")
    assert losses + go_on(tmp_path / "short", epochs=3) == whole
    assert_same_run(tmp_path / "short", tmp_path / "long")
    assert json.loads((tmp_path / "short" / "architecture.json").read_text())["training"]["epochs"] == 3


def test_points_of_the_curve_survive(tmp_path, tiny, points):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    go_on(tmp_path / "run", 8)
    with Run.open(tmp_path / "run") as run:
        session = Session.open(run, installed())
        assert [point.pictures for point in session.curve.points] == [12, 24]
        assert session.curve.pictures == 32
        assert session.curve.point_pictures == 8


# Time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time in seconds; each step of a training takes three of them."""
    now, step = [0.0], Trainer.step

    def ticking(self: Trainer, *pair: torch.Tensor) -> float:
        now[0] += 3
        return step(self, *pair)

    monkeypatch.setattr(Trainer, "step", ticking)
    monkeypatch.setattr("layerkit.training.loop.time", SimpleNamespace(perf_counter=lambda: now[0]))
    return now


def seconds_of_epochs(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["seconds"] for line in lines if line["event"] == "epoch"]


@pytest.mark.parametrize("stops", [[], [3], [10], [19], [1, 1, 6, 2, 5]])
def test_an_epoch_that_was_interrupted_is_told_with_all_its_seconds(tmp_path, tiny, clock, stops):
    folder = tmp_path / "run"
    start(folder, tiny.tree(), tiny.data)
    for steps in [*stops, None]:
        go_on(folder, steps)
        clock[0] += 1_000  # between two processes
    assert seconds_of_epochs(folder) == [30, 30]
    position = load(folder / "checkpoint.safetensors").position
    assert (position["seconds"], position["epoch_seconds"]) == (60, 0)


def test_time_spent_stands_in_the_checkpoint(tmp_path, tiny, clock):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    go_on(tmp_path / "run", 13)
    position = load(tmp_path / "run" / "checkpoint.safetensors").position
    assert (position["seconds"], position["epoch_seconds"]) == (39, 9)
    with Run.open(tmp_path / "run") as run:
        assert Session.open(run, installed()).position.seconds == 39


def test_a_checkpoint_of_before_tells_no_time_and_goes_on(tmp_path, tiny, clock):
    from layerkit.checkpoints.checkpoint import save

    folder = tmp_path / "run"
    start(folder, tiny.tree(), tiny.data)
    go_on(folder, 13)
    held = load(folder / "checkpoint.safetensors")
    position = {name: value for name, value in held.position.items() if "seconds" not in name}
    save(folder / "checkpoint.safetensors", held.network, held.architecture, position=position)
    go_on(folder)
    assert seconds_of_epochs(folder) == [30, 21]
    assert load(folder / "checkpoint.safetensors").position["seconds"] == 21


# What a checkpoint says


def test_a_checkpoint_names_its_packages(tmp_path, tiny):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    go_on(tmp_path / "run", 1)
    requires = load(tmp_path / "run" / "checkpoint.safetensors").architecture.requires
    assert requires["layer"]["dropout"].startswith("layerkit-normalization==")
    assert json.loads((tmp_path / "run" / "architecture.json").read_text())["requires"] == requires


def test_another_version_of_a_package_is_mentioned(tmp_path, tiny):
    tree = tiny.tree() | {"requires": {"layer": {"relu": "layerkit==0.0.1"}}}
    start(tmp_path / "run", tree, tiny.data)
    with Run.open(tmp_path / "run") as run:
        assert "layerkit==0.0.1" in Session.open(run, installed()).changed_packages


# What cannot go on


def test_epochs_that_are_none_or_past(tmp_path, tiny):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    go_on(tmp_path / "run")
    with Run.open(tmp_path / "run") as run:
        with pytest.raises(UserError, match="greater than or equal to 1"):
            Session.open(run, installed(), epochs=0)
        with pytest.raises(UserError, match="trained for 2 epochs already"):
            Session.open(run, installed(), epochs=1)


def test_data_that_are_gone(tmp_path, tiny):
    start(tmp_path / "run", tiny.tree(), tmp_path / "gone.npz")
    with Run.open(tmp_path / "run") as run, pytest.raises(DataError, match="no such file"):
        Session.open(run, installed())


def test_a_spec_without_training(tmp_path, tiny):
    tree = tiny.tree()
    del tree["training"]
    start(tmp_path / "run", tree, tiny.data)
    with Run.open(tmp_path / "run") as run, pytest.raises(UserError, match='no "training" block'):
        Session.open(run, installed())


@pytest.mark.parametrize("position", [{"epoch": -1}, {"batch": "3"}, {"point_loss": 1e999}, {"unknown": 1}])
def test_a_position_that_is_none(tmp_path, tiny, position):
    from layerkit.checkpoints.checkpoint import save

    start(tmp_path / "run", tiny.tree(), tiny.data)
    go_on(tmp_path / "run", 1)
    path = tmp_path / "run" / "checkpoint.safetensors"
    held = load(path)
    save(path, held.network, held.architecture, position=held.position | position)
    with Run.open(tmp_path / "run") as run, pytest.raises(CheckpointError, match="checkpoint"):
        Session.open(run, installed())


def test_a_checkpoint_of_another_optimizer(tmp_path, tiny):
    from layerkit.checkpoints.checkpoint import save

    start(tmp_path / "run", tiny.tree(optimizer={"type": "adam"}), tiny.data)
    go_on(tmp_path / "run", 1)
    path = tmp_path / "run" / "checkpoint.safetensors"
    held = load(path)
    save(path, held.network, held.architecture, position=held.position)
    with Run.open(tmp_path / "run") as run, pytest.raises(CheckpointError, match="optimizer state does not fit Adam"):
        Session.open(run, installed())


# What ends a run


@pytest.mark.parametrize("saved", [False, True])
def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path, tiny, saved):
    start(tmp_path / "run", tiny.tree(optimizer={"type": "sgd", "lr": 0.5}), tiny.data)
    path = tmp_path / "run" / "checkpoint.safetensors"
    with Run.open(tmp_path / "run") as run:
        session = Session.open(run, installed(), SaveInterval(steps=2 if saved else None))
        events = session.events()
        for _ in range(2):
            next(events)
        before = path.read_bytes() if saved else None
        session.trainer.optimizer.lr = 1e30
        with pytest.raises(DivergedError, match="try a smaller learning rate, such as 0") as error:
            list(events)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("layerkit pairs")]
    assert ("the last good checkpoint is" in str(error.value)) == saved
    assert (path.read_bytes() if path.exists() else None) == before
    if saved:
        load(path)


def test_the_remedy_speaks_of_the_learning_rate_that_can_be_given(tmp_path, tiny):
    tree = tiny.tree(optimizer={"type": "sgd", "lr": 0.04}, schedule={"type": "linear"})
    start(tmp_path / "run", tree, tiny.data)
    with Run.open(tmp_path / "run") as run:
        session = Session.open(run, installed())
        events = session.events()
        for _ in range(15):
            next(events)
        session.trainer.network[0].weight.fill_(1e30)
        with pytest.raises(DivergedError, match=r"such as 0\.01;"):
            next(events)


def test_weights_that_are_not_finite_are_not_saved(tmp_path, tiny):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    path = tmp_path / "run" / "checkpoint.safetensors"
    with Run.open(tmp_path / "run") as run:
        session = Session.open(run, installed(), SaveInterval(steps=1))
        events = session.events()
        next(events)
        before = path.read_bytes()
        session.trainer.optimizer.step = lambda: session.trainer.network[0].weight.fill_(torch.inf)
        with pytest.raises(DivergedError, match="weights are not finite any more; try a smaller"):
            next(events)
    assert path.read_bytes() == before


def test_a_folder_that_is_removed_ends_the_run(tmp_path, tiny):
    import shutil

    start(tmp_path / "run", tiny.tree(), tiny.data)
    with Run.open(tmp_path / "run") as run:
        events = Session.open(run, installed(), SaveInterval(steps=1)).events()
        next(events)
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(RunError, match="was removed or replaced while it was in use"):
            next(events)
    assert not (tmp_path / "run").exists()


def test_an_epoch_is_told_after_its_steps(tmp_path, tiny):
    start(tmp_path / "run", tiny.tree(), tiny.data)
    with Run.open(tmp_path / "run") as run:
        events = list(Session.open(run, installed()).events())
    assert [type(event) for event in events] == ([StepDone] * 10 + [EpochDone]) * 2


# Targets that are partly unknown

MISSING_PIXELS = {
    "noise": {"type": "bernoulli", "probability": [0.2, 1 / 2]},
    "loss": {"type": "masked", "loss": {"type": "l1"}},
}


@pytest.fixture
def picture(tmp_path) -> Path:
    """Return a picture that crops are cut from, as the files of pairs bring no targets with unknown pixels."""
    pixels = np.random.default_rng(0).integers(1, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("clean_targets", [False, True])
def test_missing_pixels_are_learned_with_a_masked_loss(tmp_path, tiny, picture, clean_targets):
    start(tmp_path / "run", tiny.tree(samples=400, **MISSING_PIXELS), picture, clean_targets=clean_targets)
    losses = go_on(tmp_path / "run")
    assert all(0 < loss < 1 for loss in losses)
    assert sum(losses[-50:]) < sum(losses[:50])
    with Run.open(tmp_path / "run") as run:
        evaluations = [event for event in run.events() if event["event"] == "epoch"]
    assert all(math.isfinite(event["denoised"]["psnr_mean"]) for event in evaluations)
    assert len(evaluations) == 2


def test_a_training_on_missing_pixels_that_diverges_blames_no_layer(tmp_path, tiny, picture):
    tree = tiny.tree(samples=400, optimizer={"type": "sgd", "lr": 1e6}, **MISSING_PIXELS)
    start(tmp_path / "run", tree, picture)
    with pytest.raises(DivergedError, match="try a smaller learning rate"):
        go_on(tmp_path / "run")


def test_the_disk_has_the_metrics_before_a_checkpoint_that_counts_on_them(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(layerkit.training.progress, "PICTURES_A_POINT", 8)
    folder, on_disk, at_checkpoints = tmp_path / "run", [0], []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(descriptor: int) -> None:
        fsync(descriptor)
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(folder / "metrics.jsonl"):
            on_disk.append(os.fstat(descriptor).st_size)

    def watched_replace(source: Any, path: Any) -> None:
        replace(source, path)
        if Path(path).name == "checkpoint.safetensors":
            at_checkpoints.append((load(path).position["metrics"], on_disk[-1]))

    start(folder, tiny.tree(), tiny.data)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    go_on(folder, save_interval=SaveInterval(steps=3))
    assert len({counted for counted, _ in at_checkpoints}) > 3
    assert all(0 < counted <= there for counted, there in at_checkpoints)
