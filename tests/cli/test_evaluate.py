from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from layerkit.cli import run


@pytest.fixture
def checkpoint(tmp_path, tiny, capsys) -> str:
    arguments = ["--data", str(tiny.data), "--output", str(tmp_path / "run"), "--epochs", "1", "--quiet"]
    assert run(["train", str(tiny.spec(tmp_path)), *arguments]) == 0
    capsys.readouterr()
    return str(tmp_path / "run" / "checkpoint.safetensors")


def test_a_table(checkpoint, tiny, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["evaluate", checkpoint, "--data", str(tiny.data)]) == 0
    said = capsys.readouterr().out
    assert "for training" not in said
    words = (
        "6 pictures",
        "PSNR (mean of pictures)",
        "PSNR (of mean error)",
        "SSIM",
        "time each",
        "best on these pictures",
    )
    for word in words:
        assert word in said
    names = [line.split("  ")[1] for line in said.splitlines() if " dB" in line]
    assert names == ["noisy", "Gaussian blur", "non-local means", "total variation", "denoised", "gain"]


def test_json_for_programs_is_what_training_said(checkpoint, tiny, capsys, tmp_path):
    assert run(["evaluate", checkpoint, "--data", str(tiny.data), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pictures"] == 6
    assert result["data"] == f"6 noisy and clean pictures for validation from {tiny.data}"
    assert result["gain"] == result["denoised"]["psnr_mean"] - result["noisy"]["psnr_mean"]
    epoch = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert result["denoised"] == epoch["denoised"]
    assert result["noisy"] == epoch["noisy"]


def test_classical_methods_stand_beside_it(checkpoint, tiny, capsys):
    from layerkit.builtin.noises.gaussian import Gaussian
    from layerkit.data.sources import load_dataset
    from layerkit.denoising.tuning import measure_baselines

    assert run(["evaluate", checkpoint, "--data", str(tiny.data), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["baselines"]
    validation = load_dataset(tiny.data, (3, 8, 8), Gaussian(25), 0, 1).validation
    for result, expected in zip(told, measure_baselines(validation), strict=True):
        assert result["name"] == expected.name
        assert result["parameters"] == expected.parameters
        assert result["quality"]["psnr_mean"] == expected.quality.psnr_mean
    assert run(["evaluate", checkpoint, "--data", str(tiny.data)]) == 0
    assert f"{told[1]['quality']['psnr_mean']:.2f} dB" in capsys.readouterr().out


def test_bm3d_has_a_row_where_it_is_installed(checkpoint, tiny, capsys, monkeypatch):
    monkeypatch.setattr("layerkit.denoising.bm3d.importlib.util.find_spec", {"bm3d": "a spec"}.get)
    package = ModuleType("bm3d")
    package.bm3d_rgb = lambda picture, sigma: picture
    monkeypatch.setitem(sys.modules, "bm3d", package)
    assert run(["evaluate", checkpoint, "--data", str(tiny.data), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [baseline["name"] for baseline in result["baselines"]][-1] == "BM3D"
    assert result["baselines"][-1]["quality"] == pytest.approx(result["noisy"])
    assert result["baselines"][-1]["seconds"] > 0 < result["seconds"]


def test_data_without_clean_pictures(checkpoint, tiny, tmp_path, capsys):
    import numpy as np

    arrays = np.load(tiny.data)
    np.savez(tmp_path / "train.npz", noisy_1=arrays["noisy_1"], noisy_2=arrays["noisy_2"])
    assert run(["evaluate", checkpoint, "--data", str(tmp_path / "train.npz")]) == 2
    assert "train.npz holds only pairs for training; give noisy and" in capsys.readouterr().err


def test_a_checkpoint_without_training(checkpoint, tmp_path, capsys):
    from layerkit.checkpoints.checkpoint import load, save

    held = load(checkpoint)
    save(tmp_path / "bare", held.network, held.architecture.model_copy(update={"training": None}))
    assert run(["evaluate", str(tmp_path / "bare")]) == 2
    assert "does not say which noise it was trained for" in capsys.readouterr().err
