"""From arrays to a denoiser, in the form of the course's own test, and as a run that the command line takes."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

import layerkit
from layerkit import Model, cli
from layerkit.data.pictures import Picture, write_picture
from layerkit.errors import CheckpointError, DataError, DataWarning, ShapeError, StoppedError, UserError
from layerkit.training.loop import EpochDone, StepDone
from layerkit.training.run import Run


def noisy_pairs(count: int, shape: tuple[int, ...] = (3, 16, 16), seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return smooth pictures as uint8, with noise of 30 of 255, with such noise again, and without."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, shape[0], 3, 3, generator=generator)
    clean = torch.nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear") * 255
    noisy, again = (clean + 30 * torch.randn(clean.shape, generator=generator) for _ in range(2))
    return noisy.clamp(0, 255).byte(), again.clamp(0, 255).byte(), clean.byte()


def psnr(pictures: Tensor, clean: Tensor) -> float:
    """Return the mean of each picture's PSNR in dB, as the course computes it, for values from 0 to 255."""
    error = ((pictures.double() - clean.double()) / 255).square().mean((1, 2, 3))
    return (-10 * (error + 1e-8).log10()).mean().item()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# As the course tests it


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the run of the default network, trained on 200 pairs without autograd."""
    folder = tmp_path_factory.mktemp("course")
    noisy, again, clean = noisy_pairs(240)
    with torch.random.fork_rng(), torch.set_grad_enabled(False):
        model = Model(runs=folder)
        model.train(noisy[:200], again[:200], num_epochs=4)
    assert psnr(model.predict(noisy[200:]), clean[200:]) > psnr(noisy[200:], clean[200:]) + 1
    return folder


def test_a_model_learns_from_noisy_pictures_and_is_loaded_again(trained):
    noisy, _, clean = noisy_pairs(40, seed=1)
    model = Model(runs=trained)
    model.load_pretrained_model()
    denoised = model.predict(noisy)
    assert denoised.shape == noisy.shape
    assert denoised.dtype == torch.uint8
    assert psnr(denoised, clean) > psnr(noisy, clean) + 1
    assert model.folder == trained / "strong"


def test_large_pictures_and_every_kind_of_values(trained):
    model = Model()
    model.load_pretrained_model(trained / "strong")
    noisy, _, clean = noisy_pairs(1, (3, 512, 512))
    denoised = model.predict(noisy)
    assert denoised.shape == (1, 3, 512, 512)
    assert psnr(denoised, clean) > psnr(noisy, clean) + 1
    for kind in (torch.float32, torch.float64):
        floats = model.predict(noisy.to(kind))
        assert floats.dtype == kind
        assert 0 <= floats.min() <= floats.max() <= 255
        assert torch.equal(floats.round().byte(), denoised)
    assert model.predict(noisy[:0]).shape == (0, 3, 512, 512)


def test_numpy_arrays_come_back_as_such(trained):
    model = Model()
    model.load_pretrained_model(trained / "strong")
    noisy, _, _ = noisy_pairs(3, (3, 20, 17))
    expected = model.predict(noisy).numpy()
    frozen = noisy.numpy().copy()
    frozen.flags.writeable = False
    for array in (noisy.numpy(), frozen, np.asfortranarray(noisy.numpy())):
        result = model.predict(array)
        assert isinstance(result, np.ndarray)
        assert result.dtype == np.uint8
        assert np.array_equal(result, expected)
    mirrored, swapped = noisy.numpy()[..., ::-1], noisy.numpy().astype(">f4")
    assert np.array_equal(model.predict(mirrored), model.predict(torch.from_numpy(mirrored.copy())).numpy())
    assert np.array_equal(model.predict(swapped).round(), expected)


def test_a_model_that_knows_nothing_predicts_nothing():
    with pytest.raises(UserError, match="the model is not trained yet; call train or load_pretrained_model first"):
        Model().predict(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_a_model_prints_where_it_stands(trained):
    assert repr(Model()) == "Model(\n  architecture: 'strong'\n  network: not trained\n  folder: None\n)"
    model = Model()
    model.load_pretrained_model(trained / "strong")
    assert re.search(r"network: Sequential of \d+ layers, [\d,]+ parameters\n  folder: .*Path", repr(model))


# Any architecture, any pictures


@pytest.fixture
def small(tiny) -> dict[str, Any]:
    return tiny.tree(optimizer={"type": "adam", "lr": 0.01})


def test_every_form_of_an_architecture_gives_the_same_training(small):
    noisy, again, _ = noisy_pairs(12)
    Path("small.json").write_text(json.dumps(small))
    answers = []
    for number, form in enumerate(["small.json", Path("small.json"), json.dumps(small)]):
        for source in (form, layerkit.load_architecture(form)):
            model = Model(source, runs=f"runs-{number}")
            model.train(noisy, again, 1)
            answers.append(model.predict(noisy))
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_the_seed_is_a_value_of_the_architecture(small):
    noisy, again, _ = noisy_pairs(12)
    answers = []
    for seed in (1, 1, 2):
        model = Model(json.dumps(small), overrides={"training.seed": seed})
        model.train(noisy, again, 1)
        answers.append(model.predict(noisy))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 12), (1, 32, 8)])
def test_the_default_network_takes_channels_and_size_of_the_pictures(shape):
    noisy, again, _ = noisy_pairs(4, shape)
    model = Model()
    model.train(noisy, again, 1)
    assert model.architecture.input.shape == shape
    assert model.predict(noisy[:, :, :7]).shape == (4, shape[0], 7, shape[2])


def test_an_epoch_has_all_pairs(small):
    noisy, again, _ = noisy_pairs(30)
    steps: list[StepDone] = []
    model = Model(json.dumps(small), overrides={"training.samples": 10})
    model.train(noisy, again, 2, callback=lambda event: steps.append(event) if isinstance(event, StepDone) else None)
    assert sum(step.pictures for step in steps) == 60


def test_arrays_and_floats_are_trained_on_as_bytes_are(small):
    noisy, again, _ = noisy_pairs(12)
    answers = []
    for number, given in enumerate([(noisy, again), (noisy.numpy(), again.numpy()), (noisy.double(), again.half())]):
        model = Model(json.dumps(small), runs=str(number))
        model.train(*given, 2)
        answers.append(model.predict(noisy))
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_noise_beyond_the_range_is_kept(small):
    noisy, again, _ = noisy_pairs(12)
    models = [Model(json.dumps(small), runs=name) for name in ("beyond", "cut")]
    beyond = noisy.float() * 1.5 - 60
    models[0].train(beyond, again, 1)
    models[1].train(beyond.clamp(0, 255), again, 1)
    assert not torch.equal(*(model.predict(noisy) for model in models))


# Early errors


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"num_epochs": 0}, UserError, "num_epochs must be a whole number of at least 1, not 0"),
        ({"num_epochs": 1.5}, UserError, "num_epochs must be a whole number of at least 1, not 1.5"),
        ({"num_epochs": True}, UserError, "num_epochs must be a whole number of at least 1, not True"),
        ({"train_input": [[1]]}, DataError, "train_input: expected a torch tensor or a numpy array .*, got list"),
        (
            {"train_target": torch.zeros(4, 3, 8, 8).long()},
            DataError,
            "train_target: expected .* of uint8, uint16 or floats from 0 to 255, got torch.int64",
        ),
        ({"train_input": np.zeros((4, 3, 8, 8), np.int32)}, DataError, "train_input: .* got int32"),
        ({"train_input": np.zeros((4, 3, 8, 8), object)}, DataError, "train_input: .* got object"),
        (
            {"train_input": torch.zeros(3, 8, 8)},
            ShapeError,
            re.escape("expected pictures of shape (N, C, H, W), got (3, 8, 8); one picture alone is train_input[None]"),
        ),
        ({"train_input": torch.zeros(4, 3, 0, 8)}, ShapeError, r"got \(4, 3, 0, 8\)$"),
        (
            {"train_input": torch.zeros(0, 3, 8, 8), "train_target": torch.zeros(0, 3, 8, 8)},
            ShapeError,
            "train_input: there are no pictures",
        ),
        (
            {"train_target": torch.zeros(4, 3, 8, 9)},
            ShapeError,
            "train_input and train_target must have the same shape, got .* 8, 8.* and .* 8, 9",
        ),
        ({"train_target": torch.full((4, 3, 8, 8), torch.nan)}, DataError, "train_target: some values are not finite"),
        (
            {"train_input": torch.zeros(4, 8, 8, 3), "train_target": torch.zeros(4, 8, 8, 3)},
            DataError,
            r'pictures of 8 x 8 x 3 \(C x H x W\), and the input of the network "tiny" has 3 channels; give an arch',
        ),
        (
            {"validation": (torch.zeros(0, 3, 8, 8), torch.zeros(0, 3, 8, 8))},
            ShapeError,
            "validation: there are no pictures",
        ),
        (
            {"validation": (torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8))},
            ShapeError,
            "the noisy and the clean pictures of validation must have the same shape",
        ),
        (
            {"validation": (torch.zeros(2, 3, 9, 8), torch.zeros(2, 3, 9, 8))},
            ShapeError,
            "each picture of validation and of train_input must have the same shape",
        ),
        (
            {"validation": (torch.zeros(2, 3, 8, 8).int(), torch.zeros(2, 3, 8, 8))},
            DataError,
            r"validation \(noisy\): expected",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(small, given, error, message):
    arguments = {"train_input": torch.zeros(4, 3, 8, 8), "train_target": torch.zeros(4, 3, 8, 8), "num_epochs": 1}
    with pytest.raises(error, match=message):
        Model(json.dumps(small)).train(**arguments | given)
    assert not Path("runs").exists()


def test_a_size_that_does_not_suit_the_network():
    noisy, again, _ = noisy_pairs(2, (3, 9, 8))
    with pytest.raises(DataError, match='pictures of 9 x 8 do not suit the network "strong"; cut them to another size'):
        Model().train(noisy, again, 1)
    assert not Path("runs").exists()


def test_a_network_that_nothing_says_how_to_train(small):
    del small["training"]
    noisy, again, _ = noisy_pairs(2)
    with pytest.raises(UserError, match='has no "training" block'):
        Model(json.dumps(small)).train(noisy, again, 1)


@pytest.mark.parametrize("factor", [1 / 255, 257])
def test_values_that_evidently_end_elsewhere_are_told(small, factor):
    noisy, again, _ = (pictures.float() for pictures in noisy_pairs(8))
    model = Model(json.dumps(small))
    remedy = "if 1 is white in them, multiply them by 255" if factor < 1 else "divide 16-bit values by 257"
    with pytest.warns(
        DataWarning, match=f"train_input: the values go from .*, but 0 to 255 is expected; {remedy}"
    ) as told:
        model.train(noisy * factor, again, 1)
    with pytest.warns(DataWarning, match="images: the values go from .* 0 to 255 is expected") as also:
        model.predict(noisy.numpy() * factor)
    assert [warning.filename for warning in (*told, *also)] == [__file__, __file__]


def test_black_pictures_are_not_told(small):
    model = Model(json.dumps(small))
    black = torch.zeros(4, 3, 8, 8)
    model.train(black, black, 1)
    model.predict(black)


# A run like any other


def tensors(folder: str | Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(Path(folder) / "checkpoint.safetensors")


def assert_same_bits(folder: str | Path, other: str | Path) -> None:
    ours, theirs = tensors(folder), tensors(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


class Interruption:
    """A callback that sends this process a signal after so many steps."""

    def __init__(self, steps: int, number: int = signal.SIGINT) -> None:
        self.left, self.number = steps, number

    def __call__(self, event: StepDone | EpochDone) -> None:
        self.left -= isinstance(event, StepDone)
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def test_an_interrupted_training_goes_on_to_the_same_bits_wherever_it_is_asked_to(small):
    noisy, again, _ = noisy_pairs(40)
    Model(json.dumps(small), runs="whole").train(noisy, again, 2)
    for runs, stop, error in (
        ("python", signal.SIGINT, KeyboardInterrupt),
        ("shell", signal.SIGTERM, StoppedError),
        ("resumed", signal.SIGINT, KeyboardInterrupt),
    ):
        with pytest.raises(error, match=r"saved after .* pictures.*; go on with: layerkit train --resume .*tiny"):
            Model(json.dumps(small), runs=runs).train(noisy, again, 2, callback=Interruption(13, stop))
    resumed = Model(json.dumps(small), runs="python")
    resumed.train(noisy, again, 2)
    assert resumed.folder == Path("python/tiny")
    assert cli.run(["train", "--resume", "shell/tiny"]) == 0
    Model.resume("resumed/tiny")
    for runs in ("python", "shell", "resumed"):
        assert os.listdir(runs).count("tiny-2") == 0
        assert_same_bits(f"{runs}/tiny", "whole/tiny")


def test_a_training_of_the_command_line_goes_on_in_python(tiny, small):
    Path("small.json").write_text(json.dumps(small))
    train = ["train", "small.json", "--data", str(tiny.data), "--quiet"]
    assert cli.run([*train, "--epochs", "1", "--output", "half"]) == 0
    assert cli.run([*train, "--epochs", "2", "--output", "whole"]) == 0
    seen: list[int] = []
    model = Model.resume("half", epochs=2, callback=lambda event: seen.append(event.epoch))
    assert set(seen) == {1, 2}  # steps count epochs from 0, their ends from 1
    assert_same_bits("half", "whole")
    assert model.folder == Path("half")
    assert model.predict(noisy_pairs(1)[0]).shape == (1, 3, 16, 16)


def test_training_again_goes_on_with_the_same_run(small):
    noisy, again, _ = noisy_pairs(20)
    Model(json.dumps(small), runs="whole").train(noisy, again, 3)
    model = Model(json.dumps(small))
    model.train(noisy, again, 1)
    model.train(noisy, again, 1)
    later = Model(json.dumps(small))
    later.load_pretrained_model()
    later.train(noisy, again, 1)
    assert model.folder == later.folder == Path("runs/tiny")
    assert_same_bits("runs/tiny", "whole/tiny")


def test_a_new_model_leaves_finished_runs_alone(small):
    noisy, again, _ = noisy_pairs(8)
    folders = []
    for pairs in ((noisy, again), (noisy, again), (again, noisy)):
        model = Model(json.dumps(small))
        model.train(*pairs, 1)
        folders.append(model.folder)
    assert folders == [Path("runs/tiny"), Path("runs/tiny-2"), Path("runs/tiny-3")]
    assert len(list(Path("runs").glob("pairs-*.npz"))) == 2
    last = Model(json.dumps(small))
    last.load_pretrained_model()
    assert last.folder == Path("runs/tiny-3")
    assert torch.equal(last.predict(noisy), model.predict(noisy))


def test_the_commands_take_the_run(capsys):
    noisy, again, clean = noisy_pairs(12)
    model = Model(overrides={"training.batch_size": 4})
    result = model.train(noisy, again, 1, validation=(noisy, clean))
    assert result.pictures == 12
    assert cli.run(["train", "--resume", "runs/strong"]) == 0
    assert "12 validation pictures" in capsys.readouterr().out
    (data,) = Path("runs").glob("pairs-*.npz")
    assert cli.run(["evaluate", "runs/strong/checkpoint.safetensors", "--data", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["denoised"]["psnr_mean"] == result.denoised.headline
    write_picture("noisy.png", Picture(noisy[0]))
    assert cli.run(["denoise", "runs/strong/checkpoint.safetensors", "noisy.png", "--output", "out"]) == 0
    assert Path("out/noisy.png").exists()
    with Run.open("runs/strong") as run:
        assert run.finished


@pytest.mark.parametrize("where", ["other pictures", "no run"])
def test_other_pictures_are_not_trained_on_in_silence(small, where):
    noisy, again, _ = noisy_pairs(8)
    model = Model(json.dumps(small))
    model.train(noisy, again, 1)
    message = "comes from runs/tiny, which was trained on other pictures; train a new Model"
    if where == "no run":
        os.rename("runs/tiny/checkpoint.safetensors", "best.safetensors")
        model.load_pretrained_model("best.safetensors")
        message = "comes from a checkpoint outside of a run, so its training cannot go on; train a new Model"
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=message):
        model.train(noisy, again // 2, 1)
    assert sorted(Path().rglob("*")) == before
    assert model.predict(noisy).shape == noisy.shape


def test_what_cannot_be_loaded(small):
    with pytest.raises(CheckpointError, match='runs holds no trained network "strong"; train one, or give the path'):
        Model().load_pretrained_model()
    with pytest.raises(CheckpointError, match=r"missing\.safetensors cannot be read: there is no such file"):
        Model().load_pretrained_model("missing.safetensors")
    noisy, again, _ = noisy_pairs(8)
    Model(json.dumps(small)).train(noisy, again, 1)
    small["layers"].pop(1)
    with pytest.raises(CheckpointError, match=r'tiny/checkpoint\.safetensors holds another network \("tiny"\) than'):
        Model(json.dumps(small)).load_pretrained_model()
    model = Model()
    model.load_pretrained_model("runs/tiny")
    assert model.architecture.name == "tiny"


# What is shown


def test_a_terminal_gets_bars_and_nothing_else_does(small, monkeypatch, capsys):
    noisy, again, _ = noisy_pairs(8)
    model = Model(json.dumps(small))
    model.train(noisy, again, 1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich a terminal
    model.train(noisy, again, 1, quiet=True)
    assert capsys.readouterr() == ("", "")
    model.train(noisy, again, 1)
    assert "epoch 3/3" in capsys.readouterr().out


def test_a_callback_is_told_of_every_step_and_epoch(small):
    noisy, again, clean = noisy_pairs(8)
    events: list[StepDone | EpochDone] = []
    model = Model(json.dumps(small))
    result = model.train(noisy, again, 2, validation=(noisy, clean), callback=events.append)
    assert [type(event) for event in events] == [StepDone, StepDone, EpochDone] * 2
    assert events[-1].evaluation == result
    with pytest.raises(ZeroDivisionError):
        Model(json.dumps(small), runs="broken").train(noisy, again, 1, callback=lambda event: 1 / 0)


def test_a_model_trains_in_a_thread(small):
    from concurrent.futures import ThreadPoolExecutor

    noisy, again, _ = noisy_pairs(8)
    model = Model(json.dumps(small))
    with ThreadPoolExecutor(1) as other:
        other.submit(model.train, noisy, again, 1).result()
    assert model.predict(noisy).shape == noisy.shape
