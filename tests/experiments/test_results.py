from __future__ import annotations

import json
import math

import pytest

from layerkit.denoising.metrics import METRICS, Quality
from layerkit.experiments.results import TrialResult, read_result, recorded, write_result

OLD = {
    "format": 1,
    "key": "0123456789abcdef01234567",
    "status": "done",
    "message": "",
    "architecture": {"name": "trial", "layers": [{"type": "relu"}]},
    "clean_targets": False,
    "seed": 0,
    "data": "photographs",
    "samples": 40,
    "epochs": [
        {"epoch": 1, "seconds": 1.5, "quality": {"psnr_mean": 21.0, "psnr_of_mse": 20.5, "ssim": None}},
        {"epoch": 2, "seconds": 2.5, "quality": None},
    ],
    "curve": [[1000.0, 0.25]],
    "pictures": 6,
    "noisy": {"psnr_mean": 20.0, "psnr_of_mse": 19.5, "ssim": 0.5},
    "denoised": {"psnr_mean": 22.0, "psnr_of_mse": 21.5, "ssim": 0.75},
    "constant": 10.0,
    "estimated": False,
    "examples": [[20.0, 22.0], [None, 21.0]],
    "timed": True,
    "packages": {"layerkit": "0.1.0", "optuna": "5.0.0"},
    "machine": {"processor": "an abacus", "cores": 2},
    "finished": "2026-01-01T00:00:00+00:00",
}
"""A result as it was written before the metrics were a table."""


def test_a_result_from_before_is_read(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(OLD))
    result = read_result(path, OLD["key"])
    assert (result.psnr, result.seconds, result.timed) == (22.0, 4.0, True)
    assert json.loads(result.model_dump_json()) == OLD
    write_result(path, result)
    assert read_result(path, OLD["key"]) == result


@pytest.mark.parametrize("change", [{"status": "lost"}, {"noisy": {"psnr_mean": "high"}}, {"more": 1}, {"seed": None}])
def test_a_file_that_is_no_result_counts_as_none(tmp_path, change):
    (tmp_path / "result.json").write_text(json.dumps(OLD | change))
    assert read_result(tmp_path / "result.json", OLD["key"]) is None


def test_a_record_has_every_metric_and_no_number_that_json_cannot_hold():
    record = recorded(Quality(psnr_mean=math.nan, psnr_of_mse=math.inf, ssim=0.5))
    assert (record["psnr_mean"], record["psnr_of_mse"], record["ssim"]) == (None, None, 0.5)
    assert list(record) == list(recorded({})) == [metric.name for metric in METRICS]


@pytest.mark.parametrize(
    ("seconds", "steady", "uneven"),
    [((4.0, 5.0), 8.0, False), ((5.25, 4.0), 8.0, True), ((4.0,), 4.0, False), ((), 0.0, False)],
)
def test_seconds_are_also_told_as_if_each_epoch_were_as_fast_as_the_fastest(seconds, steady, uneven):
    epochs = [{"epoch": number, "seconds": taken} for number, taken in enumerate(seconds, 1)]
    result = TrialResult.model_validate_json(json.dumps(OLD | {"epochs": epochs}))
    assert (result.seconds, result.steady_seconds, result.uneven) == (sum(seconds), steady, uneven)


def test_the_headline_is_the_first_psnr_that_is_known():
    def psnr(status="done", **denoised):
        return TrialResult.model_validate_json(json.dumps(OLD | {"status": status, "denoised": denoised})).psnr

    assert psnr(psnr_mean=22.0, psnr_of_mse=21.0, ssim=0.75) == 22.0
    assert psnr(psnr_mean=None, psnr_of_mse=21.0, ssim=None) == 21.0
    assert psnr(psnr_mean=None, psnr_of_mse=None, ssim=0.75) is None
    assert psnr(status="diverged", psnr_mean=22.0) is None
