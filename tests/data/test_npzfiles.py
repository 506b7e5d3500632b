"""Data files of named arrays, of bytes and of floats, sound and unsound ones."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.data.sources import load_dataset
from layerkit.errors import DataError

SHAPE = (3, 6, 5)


def pictures(count: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    """Return pictures the first value of which is their number."""
    values = torch.randint(256, (count, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    values[:, 0, 0, 0] = torch.arange(count)
    return values


def load(source, **changes):
    arguments = {"shape": SHAPE, "noise": Gaussian(25.0), "seed": 0, "samples": 100} | changes
    return load_dataset(source, **arguments)


def numbers(values: torch.Tensor) -> list[int]:
    return (values[:, 0, 0, 0] * 255).round().int().tolist()


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("reached",)


def write(path, **arrays):
    np.savez(path, **{name: values.numpy() for name, values in arrays.items()})
    return path


def test_all_four_arrays(tmp_path):
    path = write(
        tmp_path / "data.npz", noisy_1=pictures(30, 1), noisy_2=pictures(30, 2), noisy=pictures(9), clean=pictures(9, 3)
    )
    dataset = load(path)
    inputs, targets = dataset.train.chunk(0, 0)
    order = torch.tensor(numbers(inputs))
    assert torch.equal((inputs * 255).round(), pictures(30, 1)[order].float())
    assert torch.equal((targets * 255).round(), pictures(30, 2)[order].float())
    assert torch.equal((dataset.validation.noisy * 255).round(), pictures(9).float())
    assert torch.equal((dataset.validation.clean * 255).round(), pictures(9, 3).float())
    assert "30 noisy pairs an epoch for training and 9 noisy and clean pictures for validation" in dataset.description


def test_half_of_the_arrays(tmp_path):
    dataset = load(write(tmp_path / "data.npz", noisy_1=pictures(3), noisy_2=pictures(3)))
    assert dataset.validation is None
    assert len(dataset.train) == 3
    dataset = load(write(tmp_path / "data.npz", noisy=pictures(3), clean=pictures(3), other=pictures(1)))
    assert dataset.train is None
    assert len(dataset.validation.noisy) == 3


def test_compressed_and_fortran_ordered_arrays(tmp_path):
    arrays = {"noisy": np.asfortranarray(pictures(3).numpy()), "clean": pictures(3, 2).numpy()}
    np.savez_compressed(tmp_path / "data.npz", **arrays)
    validation = load(tmp_path / "data.npz").validation
    assert torch.equal((validation.noisy * 255).round(), pictures(3).float())
    assert torch.equal((validation.clean * 255).round(), pictures(3, 2).float())


def test_clean_targets_keep_a_tenth_for_validation(tmp_path):
    path = write(tmp_path / "data.npz", noisy=pictures(30, 1), clean=pictures(30, 2))
    dataset = load(path, clean_targets=True)
    inputs, targets = dataset.train.chunk(0, 0)
    assert sorted(numbers(inputs)) == list(range(27))
    assert torch.equal((targets * 255).round(), pictures(30, 2)[torch.tensor(numbers(inputs))].float())
    assert numbers(dataset.validation.noisy) == [27, 28, 29]
    assert "27 noisy and clean pictures an epoch for training and 3 noisy" in dataset.description


@pytest.mark.parametrize(
    ("arrays", "changes", "message"),
    [
        ({"noisy": pictures(3)}, {}, r'the array "clean" is missing from its pair; found noisy'),
        ({"noisy_2": pictures(3)}, {}, r'the array "noisy_1" is missing'),
        ({"x": pictures(3)}, {}, r'expected arrays "noisy_1" and "noisy_2" for training or .*, found x'),
        ({"noisy": pictures(3), "clean": pictures(2)}, {}, '"noisy" and "clean" must have the same shape'),
        ({"noisy": pictures(3).int(), "clean": pictures(3)}, {}, r'array "noisy": expected uint8 values .* int32'),
        (
            {"noisy": pictures(3)[0], "clean": pictures(3)},
            {},
            r'array "noisy": expected uint8 .*found uint8 \(3, 6, 5\)',
        ),
        ({"noisy": pictures(0), "clean": pictures(0)}, {}, r'array "noisy": holds no pictures'),
        ({"noisy": pictures(3), "clean": pictures(3)}, {"shape": (1, 6, 5)}, r"3x6x5 \(C x H x W\), but .* is 1x6x5"),
        (
            {"noisy_1": pictures(3), "noisy_2": pictures(3)},
            {"clean_targets": True},
            "clean targets were asked for; exp",
        ),
        ({"noisy": pictures(1), "clean": pictures(1)}, {"clean_targets": True}, "one picture cannot be for training"),
    ],
)
def test_arrays_of_the_wrong_form(tmp_path, arrays, changes, message):
    path = write(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=rf"data\.npz: .*{message}"):
        load(path, **changes)


def test_no_pickle_is_read_from_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "data.npz", noisy=np.array([Malicious()]), clean=np.array([Malicious()]))
    with pytest.raises(DataError, match=r'array "noisy": expected uint8 values \(N, C, H, W\), found object'):
        load(tmp_path / "data.npz")
    assert not (tmp_path / "reached").exists()


def test_an_array_that_claims_to_be_enormous_is_not_read(tmp_path):
    header = io.BytesIO()
    shape = (2**40, *SHAPE)
    np.lib.format.write_array_header_2_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        for name in ("noisy", "clean"):
            file.writestr(f"{name}.npy", header.getvalue())
    with pytest.raises(DataError, match=r'array "noisy": \(1099511627776, 3, 6, 5\) is more than .* values; split'):
        load(tmp_path / "data.npz")


def test_files_that_hold_no_arrays(tmp_path):
    path = tmp_path / "data.npz"
    path.write_text("text")
    with pytest.raises(DataError, match=r"data\.npz: not an \.npz file that numpy\.savez wrote, or damaged"):
        load(path)
    with open(path, "wb") as file:
        np.save(file, pictures(3).numpy())
    with pytest.raises(DataError, match=r"expected several named arrays \(numpy\.savez\), found a single one"):
        load(path)
    write(path, noisy=pictures(30), clean=pictures(30))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"data\.npz: not an \.npz file that numpy\.savez wrote, or damaged"):
        load(path)


# Floats


def floats(dtype: str, limit: int, seed: int = 0) -> np.ndarray:
    return (pictures(30, seed).numpy() * (limit / 255)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4"])
@pytest.mark.parametrize("limit", [1, 255])
def test_floats_mean_what_the_range_says(tmp_path, dtype, limit):
    arrays = {name: floats(dtype, limit, seed) for seed, name in enumerate(("noisy_1", "noisy_2", "noisy", "clean"))}
    np.savez(tmp_path / "data.npz", range=limit, **arrays)
    dataset = load(tmp_path / "data.npz")
    inputs, targets = dataset.train.chunk(0, 0)
    order = torch.tensor(numbers(inputs))
    for found, seed in ((inputs, 0), (targets, 1)):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, pictures(30, seed)[order] / 255)
    torch.testing.assert_close(dataset.validation.noisy, pictures(30, 2) / 255)
    torch.testing.assert_close(dataset.validation.clean, pictures(30, 3) / 255)


def test_half_precision_and_bytes_beside_floats(tmp_path):
    np.savez(tmp_path / "data.npz", range=1.0, noisy=floats("float16", 1), clean=pictures(30, 1).numpy())
    validation = load(tmp_path / "data.npz").validation
    torch.testing.assert_close(validation.noisy, pictures(30) / 255, atol=1e-3, rtol=0)
    torch.testing.assert_close(validation.clean, pictures(30, 1) / 255)


def test_noise_may_reach_beyond(tmp_path):
    noise = np.random.default_rng(0).standard_normal((30, *SHAPE))
    noisy = floats("float64", 1) + noise
    np.savez(tmp_path / "data.npz", range=1, noisy=noisy, clean=floats("float64", 1))
    torch.testing.assert_close(load(tmp_path / "data.npz").validation.noisy, torch.from_numpy(noisy).float())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"noisy": floats("float32", 1)},
            r'array "noisy": float32 values, but nothing says whether they go from 0 to 1 or from 0 to 255; add '
            r'"range" to the file: numpy\.savez\(\.\.\., range=1\) or range=255',
        ),
        ({"range": 2, "noisy": floats("float32", 1)}, '"range": expected 1 or 255, .* found 2'),
        ({"range": "1"}, r'"range": expected 1 or 255, the upper end of the range of the floats, found str32 \(\)'),
        ({"range": [1, 255]}, r'"range": expected 1 or 255, .*, found int64 \(2,\)'),
        (
            {"range": 1, "noisy": floats("float32", 255)},
            r'its values are 1\d\d\..* on average, but "range" says 1; write',
        ),
        (
            {"range": 1, "noisy": np.full((30, *SHAPE), np.nan)},
            'array "noisy": holds values that are not finite; replace',
        ),
        ({"range": 1, "noisy": pictures(30).numpy()}, '"range" is 1 and all arrays are uint8, .* remove "range"'),
        (
            {"range": 1, "noisy": floats("float32", 1)[0]},
            r"expected float values \(N, C, H, W\), found float32 \(3, 6, 5\)",
        ),
    ],
)
def test_floats_that_nobody_could_tell(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **{"noisy": pictures(30).numpy(), "clean": pictures(30).numpy(), **arrays})
    with pytest.raises(DataError, match=rf"data\.npz: .*{message}"):
        load(tmp_path / "data.npz")


def test_black_pictures_go_to_255_where_the_file_says_so(tmp_path):
    black = np.full((3, *SHAPE), 0.5, np.float32)
    np.savez(tmp_path / "data.npz", noisy=black, clean=black, range=255)
    assert load(tmp_path / "data.npz").validation.noisy.unique().tolist() == pytest.approx([0.5 / 255])
