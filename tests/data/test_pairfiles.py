"""Data files: the course's .pkl files and .npz files, sound and unsound ones."""

from __future__ import annotations

import io
import os
import zipfile
from itertools import chain

import numpy as np
import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.data import pairfiles
from layerkit.data.pairs import batches
from layerkit.data.pictures import unit
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


# The course's files


@pytest.fixture
def folder(tmp_path):
    torch.save((pictures(30, 1), pictures(30, 2)), tmp_path / "train_data.pkl")
    torch.save((pictures(10, 3), pictures(10, 4)), tmp_path / "val_data.pkl")
    return tmp_path


def test_both_files(folder):
    dataset = load(folder)
    inputs, targets = next(batches(dataset.train, 0, 100))
    assert inputs.dtype == targets.dtype == torch.float32
    assert len(dataset.train) == len(inputs) == 30
    order = torch.tensor(numbers(inputs))
    assert sorted(order.tolist()) == list(range(30))
    assert torch.equal((inputs * 255).round(), pictures(30, 1)[order].float())
    assert torch.equal((targets * 255).round(), pictures(30, 2)[order].float())
    assert torch.equal(dataset.validation.noisy, unit(pictures(10, 3)))
    assert torch.equal(dataset.validation.clean, unit(pictures(10, 4)))
    assert dataset.description.startswith("30 noisy pairs an epoch for training from ")
    assert "10 noisy and clean pictures for validation from " in dataset.description


def test_either_file_alone(folder):
    os.rename(folder / "train_data.pkl", folder / "train_small.pkl")
    for source in (folder, folder / "val_data.pkl"):
        dataset = load(source, clean_targets=True)
        assert dataset.train is None
        assert len(dataset.validation.clean) == 10
    dataset = load(folder / "train_small.pkl")
    assert dataset.validation is None
    assert len(dataset.train) == 30


def test_order_is_a_permutation_by_seed_and_epoch(folder):
    def order(seed, epoch):
        return numbers(next(batches(load(folder, seed=seed).train, epoch, 100))[0])

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 0)) == sorted(order(0, 1)) == list(range(30))
    assert len({tuple(order(*pair)) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    train = load(folder).train
    train.chunk(1, 0)  # what was served before does not matter
    assert numbers(train.chunk(0, 0)[0]) == order(0, 0)


def test_chunks_and_starts(folder, monkeypatch):
    monkeypatch.setattr(pairfiles, "chunk_size", lambda shape: 7)
    whole = [numbers(inputs) for inputs, _ in batches(load(folder).train, 2, 4)]
    assert sorted(chain.from_iterable(whole)) == list(range(30))
    assert [numbers(inputs) for inputs, _ in batches(load(folder).train, 2, 4, 3)] == whole[3:]


def test_fewer_samples_than_the_file_holds(folder):
    dataset = load(folder, samples=8)
    seen = [numbers(next(batches(dataset.train, epoch, 100))[0]) for epoch in range(20)]
    assert all(len(epoch) == len(set(epoch)) == 8 for epoch in seen)
    assert len(set(chain.from_iterable(seen))) == 30
    assert "8 of 30 noisy pairs an epoch" in dataset.description


def test_the_format_of_old_torch_versions(tmp_path):
    torch.save((pictures(3), pictures(3)), tmp_path / "val_data.pkl", _use_new_zipfile_serialization=False)
    assert len(load(tmp_path).validation.clean) == 3


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("reached",)


def test_no_code_is_run_from_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save((Malicious(), Malicious()), tmp_path / "val_data.pkl")
    with pytest.raises(DataError, match=r"val_data\.pkl: not a file that torch\.save wrote of a tuple of two tensors"):
        load(tmp_path)
    assert not (tmp_path / "reached").exists()


BYTES = torch.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pictures(3), "expected a tuple of two tensors, found a Tensor"),
        ((pictures(3),), "expected a tuple of two tensors, found a tuple of 1"),
        ((pictures(3), [1]), "expected a tuple of two tensors, found a tuple of 2"),
        ({"a": pictures(3)}, "expected a tuple of two tensors, found a dict of 1"),
        ((pictures(3).float(), pictures(3)), r"first tensor: expected uint8 values \(N, C, H, W\), found float32"),
        (
            (pictures(3), pictures(3)[0]),
            r"second tensor: expected uint8 values \(N, C, H, W\), found uint8 \(3, 6, 5\)",
        ),
        ((pictures(3), pictures(2)), r"the two tensors must have the same shape, found \(3, 3, 6, 5\), \(2, "),
        ((pictures(0), pictures(0)), "first tensor: holds no pictures"),
        (
            (torch.zeros(1, 3, 8, 8, dtype=BYTES),) * 2,
            r"pictures are 3x8x8 \(C x H x W\) and the network's .* 3x6x5; ch",
        ),
        ((torch.zeros(1, 1, 1, 1, dtype=BYTES).expand(2**20, 3, 64, 64),) * 2, "values; split the file"),
        ((pictures(3).to_sparse(), pictures(3)), "first tensor: expected a dense tensor, found torch.sparse_coo"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_pickles_of_the_wrong_form(tmp_path, content, message):
    torch.save(content, tmp_path / "val_data.pkl")
    with pytest.raises(DataError, match=rf"val_data\.pkl: .*{message}"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02K\x01.", b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_pickles(tmp_path, content):
    (tmp_path / "train_data.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"train_data\.pkl: (not a file that torch\.save wrote|expected a tuple)"):
        load(tmp_path)


def test_truncated_pickle(folder):
    content = (folder / "val_data.pkl").read_bytes()
    (folder / "val_data.pkl").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"val_data\.pkl: not a file that torch\.save wrote .*, or damaged"):
        load(folder / "val_data.pkl")


def test_a_name_that_tells_nothing(folder):
    os.rename(folder / "train_data.pkl", folder / "mine.pkl")
    with pytest.raises(DataError, match=r"mine\.pkl: cannot tell training from validation .* name the file train_data"):
        load(folder / "mine.pkl")


def test_pickles_have_no_clean_targets(folder):
    with pytest.raises(DataError, match=r"train_data\.pkl: clean targets were asked for and this file holds pairs"):
        load(folder, clean_targets=True)


# Named arrays


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("limit", [1, 255])
def test_floats_go_as_far_as_the_file_says(tmp_path, dtype, limit):
    noisy, clean = (pictures(3, seed) + 0.25 for seed in (1, 2))  # what no byte is
    arrays = {name: (values * limit / 255).to(dtype) for name, values in (("noisy", noisy), ("clean", clean))}
    validation = load(write(tmp_path / "data.npz", **arrays, range=torch.tensor(limit))).validation
    tolerance = 1e-3 if dtype == torch.float16 else 1e-6
    torch.testing.assert_close(validation.noisy, noisy / 255, rtol=0, atol=tolerance)
    torch.testing.assert_close(validation.clean, clean / 255, rtol=0, atol=tolerance)


def test_bytes_beside_floats_stay_what_they_are(tmp_path):
    arrays = {"noisy": pictures(3) / 255, "clean": pictures(3), "range": torch.tensor(1.0)}
    validation = load(write(tmp_path / "data.npz", **arrays)).validation
    torch.testing.assert_close(validation.noisy, validation.clean, rtol=0, atol=1e-6)


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
        ({"noisy": pictures(3)}, {}, r'the array "clean" is missing beside its other half; found noisy'),
        ({"noisy_2": pictures(3)}, {}, r'the array "noisy_1" is missing'),
        ({"x": pictures(3)}, {}, r'expected arrays "noisy_1" and "noisy_2" for training or .*, found x'),
        ({"noisy": pictures(3), "clean": pictures(2)}, {}, '"noisy" and "clean" must have the same shape'),
        (
            {"noisy": pictures(3).int(), "clean": pictures(3)},
            {},
            r'array "noisy": expected uint8 or float values .* int32',
        ),
        (
            {"noisy": pictures(3).float(), "clean": pictures(3)},
            {},
            r'array "noisy": floats, and nothing says .* from 0 to 1 or from 0 to 255; add "range"',
        ),
        (
            {"noisy": pictures(3) / 0, "clean": pictures(3), "range": torch.tensor(255)},
            {},
            r'array "noisy": some values are not finite',
        ),
        *(
            (
                {"noisy": pictures(3).float(), "clean": pictures(3), "range": torch.tensor(wrong)},
                {},
                '"range": expected the number 1 or 255, where the floats end',
            )
            for wrong in (2, [1, 255], 1j)
        ),
        (
            {"noisy": pictures(3)[0], "clean": pictures(3)},
            {},
            r'array "noisy": expected uint8 .*found uint8 \(3, 6, 5\)',
        ),
        ({"noisy": pictures(0), "clean": pictures(0)}, {}, r'array "noisy": holds no pictures'),
        ({"noisy": pictures(3), "clean": pictures(3)}, {"shape": (1, 6, 5)}, r"3x6x5 \(C x H x W\) and .* is 1x6x5"),
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
    with pytest.raises(DataError, match=r'array "noisy": expected uint8 or float values \(N, C, H, W\), found object'):
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
