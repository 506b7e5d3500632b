"""Adam and AdamW against torch.optim, and checkpoints of the time when they came from a package of their own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from layerkit import Adam, AdamW, CheckpointError, Denoiser, load, load_architecture, save
from layerkit.errors import StoppedError
from layerkit.registry.catalogue import installed
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session

OPTIMIZERS = {
    "adam": (Adam, torch.optim.Adam, {}),
    "adam with decay": (Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.1}),
    "adamw": (AdamW, torch.optim.AdamW, {}),
    "adamw with more decay": (AdamW, torch.optim.AdamW, {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.5}),
}
SHAPES = (3, 2), (), (4, 1, 2), (0,)
Pairs = list[tuple[torch.Tensor, torch.Tensor]]


def pairs(dtype: torch.dtype = torch.float64) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(shape, dtype=dtype, generator=generator) for shape in SHAPES]
    return [(parameter, torch.zeros_like(parameter)) for parameter in parameters]


def give_gradients(parameters: Pairs, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for _, gradient in parameters:
        gradient.copy_(torch.randn(gradient.shape, dtype=gradient.dtype, generator=generator))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-11)])
def test_follows_torch_for_many_steps(name: str, dtype: torch.dtype, tolerance: float) -> None:
    own_class, other_class, arguments = OPTIMIZERS[name]
    parameters = pairs(dtype)
    leaves = [parameter.clone().requires_grad_() for parameter, _ in parameters]
    own, other = own_class(parameters, **arguments), other_class(leaves, **arguments)
    for step in range(200):
        give_gradients(parameters, step)
        given = [gradient.clone() for _, gradient in parameters]
        for gradient, leaf in zip(given, leaves, strict=True):
            leaf.grad = gradient.clone()
        if step == 100:
            own.lr = other.param_groups[0]["lr"] = own.lr / 3
        own.step()
        other.step()
        for (parameter, gradient), leaf, before in zip(parameters, leaves, given, strict=True):
            assert torch.equal(gradient, before)
            torch.testing.assert_close(parameter, leaf.detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_goes_on_exactly_where_it_was(name: str) -> None:
    own_class, _, arguments = OPTIMIZERS[name]
    through, stopped = pairs(), pairs()
    whole, first = own_class(through, **arguments), own_class(stopped, **arguments)
    for step in range(5):
        for parameters, optimizer in ((through, whole), (stopped, first)):
            give_gradients(parameters, step)
            optimizer.step()
    state = {key: tensor.clone() for key, tensor in first.state_dict().items()}
    second = own_class(stopped, **arguments)
    second.load_state_dict(state)
    for step in range(5, 10):
        for parameters, optimizer in ((through, whole), (stopped, second)):
            give_gradients(parameters, step)
            optimizer.step()
    for (parameter, _), (other, _) in zip(through, stopped, strict=True):
        assert torch.equal(parameter, other)


@pytest.mark.parametrize("own_class", [Adam, AdamW])
def test_has_nothing_to_do_without_parameters(own_class: type[Adam]) -> None:
    own_class([]).step()


def test_refuses_the_state_of_another() -> None:
    with pytest.raises(CheckpointError, match="the optimizer state does not fit Adam: velocity"):
        Adam(pairs()).load_state_dict(Adam(pairs()).state_dict() | {"velocity": torch.zeros(1)})


class TestFromAPackageOfItsOwn:
    """Adam came with ``layerkit-optimizers`` once, and what was saved then says so."""

    @pytest.fixture
    def interrupted(self, tmp_path: Path, tiny: Any) -> Path:
        """Return the folder of a run that was interrupted after four steps."""
        architecture = load_architecture(json.dumps(tiny.tree(optimizer={"type": "adam"})))
        then = architecture.model_copy(update={"requires": {"optimizer": {"adam": "layerkit-optimizers==0.1.0"}}})
        folder = tmp_path / "run"
        Run.start(folder, then, Settings(data=str(tiny.data))).close()
        train(folder, stop_after=4)
        path = folder / "checkpoint.safetensors"
        held = load(path)
        optimizer = held.architecture.training.optimizer.build(held.network.param())
        optimizer.load_state_dict(held.optimizer_state)
        save(path, held.network, then, optimizer=optimizer, position=held.position, noise_range=held.noise_range)
        assert load(path).architecture.requires == then.requires
        return folder

    def test_its_training_goes_on(self, tmp_path: Path, tiny: Any, interrupted: Path) -> None:
        architecture = load_architecture(json.dumps(tiny.tree(optimizer={"type": "adam"})))
        Run.start(tmp_path / "whole", architecture, Settings(data=str(tiny.data))).close()
        train(tmp_path / "whole")
        train(interrupted)
        one, other = (load(folder / "checkpoint.safetensors") for folder in (interrupted, tmp_path / "whole"))
        for name, tensor in other.network.state_dict().items():
            assert torch.equal(one.network.state_dict()[name], tensor)
        assert one.position["pictures"] == other.position["pictures"] == 80

    def test_it_denoises(self, interrupted: Path) -> None:
        path = interrupted / "checkpoint.safetensors"
        noisy = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        clean = load(path).network(noisy).clamp(0, 1)
        torch.testing.assert_close(Denoiser.load(path).predict(noisy * 255), clean * 255)


def train(folder: Path, stop_after: int | None = None) -> None:
    """Train until the end, or until it is asked to stop after a number of steps."""
    with Run.open(folder) as run:
        session = Session.open(run, installed())
        begin = session.curve.pictures

        def asked_to_stop() -> int | None:
            steps = (session.curve.pictures - begin) // session.architecture.training.batch_size
            return signal.SIGTERM if steps == stop_after else None

        try:
            for _ in session.events(asked_to_stop):
                pass
        except StoppedError as stopped:
            assert stopped.exit_code == 143
