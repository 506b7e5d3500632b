from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from layerkit.builtin.layers.sequential import Sequential
from layerkit.checkpoints.checkpoint import load
from layerkit.cli import run
from layerkit.errors import CheckpointError, UserError
from layerkit.exchange.weights import assign, read_state
from layerkit.spec.architecture import build
from layerkit.spec.loading import load_architecture

TREE = {
    "format": 1,
    "name": "tried",
    "input": {"channels": 3, "height": 8, "width": 8},
    "layers": [
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1},
        {"type": "relu"},
        {"type": "conv2d", "out_channels": 3, "kernel_size": 1},
    ],
}


@pytest.fixture
def network() -> Sequential:
    return build(load_architecture(json.dumps(TREE)), seed=0)


def theirs() -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 1))


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_command_makes_a_checkpoint_that_computes_the_same(tmp_path: Path, suffix: str, wrapped: bool) -> None:
    other, file = theirs(), tmp_path / f"weights{suffix}"
    state = {f"module.body_{name}" if wrapped else name: tensor for name, tensor in other.state_dict().items()}
    if suffix == ".pt":
        torch.save({"epoch": 3, "state_dict": state} if wrapped else state, file)
    else:
        safetensors.torch.save_file(state, file)
    (tmp_path / "spec.json").write_text(json.dumps(TREE))
    target = tmp_path / "made" / "checkpoint.safetensors"
    assert run(["import", str(file), str(tmp_path / "spec.json"), "--output", str(target)]) == 0
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(load(target).network.eval()(x), other(x).detach())
    nowhere = ["--output", str(file / "checkpoint.safetensors")]
    assert run(["import", str(file), str(tmp_path / "spec.json"), *nowhere]) == 1
    before = target.read_bytes()
    assert run(["import", str(file), str(tmp_path / "spec.json"), "--output", str(target)]) == 2
    assert target.read_bytes() == before


def test_what_does_not_fit_is_listed_and_changes_nothing(network: Sequential) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = dict(theirs().state_dict())
    state["0.weight"] = torch.zeros(4, 3, 5, 5)
    state["9.extra"] = torch.zeros(1)
    with pytest.raises(
        CheckpointError, match=r"0.weight is \(4, 3, 3, 3\), and 0.weight in the file is .*; 9.extra in"
    ):
        assign(network, state)
    with pytest.raises(CheckpointError, match="a layer has the tensors"):
        assign(network, {"a.weight": torch.zeros(1)})
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must never run",)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Code()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="holds more than weights, and to read it would run code"):
        read_state(tmp_path / "evil.pt")
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"something else entirely")
    with pytest.raises(UserError, match="broken"):
        read_state(tmp_path / name)
    torch.save([1, 2, 3], tmp_path / "list.pt")
    with pytest.raises(UserError, match="holds no state dict"):
        read_state(tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"missing\.pt cannot be read"):
        read_state(tmp_path / "missing.pt")
