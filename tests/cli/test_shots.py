"""The whole way of somebody with a folder of noisy shots: train, evaluate, denoise."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from skimage import data

from layerkit.checkpoints.checkpoint import load
from layerkit.cli import run
from layerkit.cli.tables import classical_results
from layerkit.data.dataset import Validation
from layerkit.data.sources import load_dataset
from layerkit.denoising.baselines import BASELINES, Baseline
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.evaluation import evaluate
from layerkit.denoising.tuning import BaselineResult

SIGMA = 25.0
SIDE = 128


def photographs() -> dict[str, np.ndarray]:
    """Return pieces of photographs, (height, width, 3), far enough from black and white that noise is not clipped."""
    pieces = {
        "astronaut": data.astronaut()[40:, 150:],
        "chelsea": data.chelsea()[60:, 100:],
        "coffee": data.coffee()[100:, 200:],
        "rocket": data.rocket()[230:, 250:],
    }
    return {name: 75 + 0.4 * piece[:SIDE, :SIDE].astype(float) for name, piece in pieces.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Return a folder with ``shots``, two of each scene, and ``known``, the same with the clean pictures."""
    generator = np.random.default_rng(0)
    parent = tmp_path_factory.mktemp("folders")
    for name in ("shots", "known"):
        (parent / name).mkdir()
    for name, clean in photographs().items():
        pictures = {f"{name}_{number}": clean + generator.normal(0, SIGMA, clean.shape) for number in (1, 2)}
        for stem, values in (pictures | {f"{name}_clean": clean}).items():
            image = Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
            image.save(parent / "known" / f"{stem}.png")
            if stem in pictures:
                image.save(parent / "shots" / f"{stem}.png")
    return parent


@pytest.fixture(scope="module", autouse=True)
def classical_methods_measured_once() -> Iterator[None]:
    """Remember what classical methods reach on some pictures, which takes longer than everything else here."""
    known: dict[tuple[object, ...], list[BaselineResult]] = {}

    def remembered(
        validation: Validation, console: Console, baselines: Sequence[Baseline] = BASELINES
    ) -> list[BaselineResult]:
        key = tuple(None if its is None else its.numpy().tobytes() for its in validation), tuple(map(str, baselines))
        if key not in known:
            known[key] = classical_results(validation, console, baselines)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in ("training", "tables"):  # of train and of evaluate
            patch.setattr(f"layerkit.cli.{module}.classical_results", remembered)
        yield


@pytest.fixture(scope="module")
def trained(folders) -> tuple[Path, str]:
    """Return the run of a small network on the shots, and what was printed."""
    layers = [
        {"type": "conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1},
        {"type": "relu"},
        {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1},
    ]
    tree = {
        "format": 1,
        "name": "small",
        "input": {"channels": 3, "height": 32, "width": 32},
        "layers": [{"type": "residual", "layers": layers}],
        "training": {
            "loss": {"type": "mse"},
            "optimizer": {"type": "sgd", "lr": 0.5},
            "noise": {"type": "pixelate", "block": 8},
            "samples": 6000,
            "epochs": 1,
        },
    }
    (folders / "small.json").write_text(json.dumps(tree))
    said = io.StringIO()
    arguments = ["--pictures", str(folders / "shots"), "--output", str(folders / "run")]
    with contextlib.redirect_stdout(said), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "120")  # wide enough for headings in one line
        assert run(["train", str(folders / "small.json"), *arguments]) == 0
    return folders / "run", said.getvalue()


def test_it_says_that_the_noise_is_real_and_the_quality_estimated(trained):
    folder, said = trained
    assert "8 noisy shots of 4 of the 4 scenes" in said
    assert 'no noise is added, and the "noise" of the spec is not used' in said
    assert "dB, both estimated)" in said
    assert "PSNR (of mean error), estimated from noisy pairs" in said
    assert "SSIM" not in said
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (epoch,) = (event for event in events if event["event"] == "epoch")
    assert epoch["estimated"] is True
    assert epoch["denoised"]["psnr_mean"] is None
    with Image.open(folder / "montage.png") as montage:
        width, height = montage.size
    assert width < height  # two columns of five pictures


def test_the_estimate_is_close_to_the_truth(trained, folders, capsys):
    checkpoint = trained[0] / "checkpoint.safetensors"
    capsys.readouterr()
    assert run(["evaluate", str(checkpoint), "--pictures", str(folders / "shots"), "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["estimated"] is True
    assert estimate["denoised"]["ssim"] is None
    noise = load(checkpoint).architecture.training.noise.build()
    known = load_dataset(folders / "known", (3, 32, 32), noise, seed=0, samples=1)
    truth = evaluate(Denoiser.load(checkpoint), *known.validation)  # the same crops
    assert truth.pictures == estimate["pictures"] == 1000
    # One scene has 49,152 values, of which those in the middle count more: an effective 20,000 at least. So estimated
    # errors are off by sqrt(2 / 20000) = 1 % of sigma^2: 0.04 dB of the noise, and more of the smaller error left.
    assert estimate["noisy"]["psnr_of_mse"] == pytest.approx(truth.noisy.psnr_of_mse, abs=0.15)
    left = 10 ** ((truth.noisy.psnr_of_mse - truth.denoised.psnr_of_mse) / 10)
    assert left > 0.15
    assert estimate["denoised"]["psnr_of_mse"] == pytest.approx(truth.denoised.psnr_of_mse, abs=0.15 / left)
    assert truth.gain > 2
    assert estimate["gain"] > 2


def test_the_same_table_is_printed_by_evaluate(trained, folders, capsys):
    folder, said = trained
    assert run(["evaluate", str(folder / "checkpoint.safetensors"), "--data", str(folders / "shots")]) == 0
    again = capsys.readouterr().out
    first, second = (
        [line.split(" dB")[0].split() for line in text.splitlines() if " about " in line] for text in (said, again)
    )
    assert [row[0] for row in first] == ["noisy", "Gaussian", "non-local", "total", "denoised", "gain"]
    assert first == second
    assert "best on these pictures, by the same estimate" in " ".join(again.split())


def test_denoising_brings_the_shots_closer_to_the_clean_pictures(trained, folders, tmp_path, capsys):
    checkpoint = trained[0] / "checkpoint.safetensors"
    assert run(["denoise", str(checkpoint), str(folders / "shots"), "--output", str(tmp_path / "clean")]) == 0
    assert len(list((tmp_path / "clean").iterdir())) == 8
    for name, clean in photographs().items():
        errors = [
            np.square(np.asarray(Image.open(folder / f"{name}_1.png")) - clean).mean()
            for folder in (folders / "shots", tmp_path / "clean")
        ]
        assert errors[1] < 0.6 * errors[0], name  # at least 2.2 dB better


def test_a_run_on_shots_goes_on_to_the_same_bits(trained, folders, tmp_path):
    def train(output: str, *arguments: str) -> None:
        start = ["train", str(folders / "small.json"), "--pictures", str(folders / "shots"), "--samples", "64", "-q"]
        assert run([*start, "--output", str(tmp_path / output), *arguments]) == 0

    train("whole", "--epochs", "2")
    train("parts", "--epochs", "1")
    assert run(["train", "--resume", str(tmp_path / "parts"), "--epochs", "2", "-q"]) == 0
    ours, theirs = (
        load(tmp_path / name / "checkpoint.safetensors").network.state_dict() for name in ("whole", "parts")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
