"""The course's data files, sound and unsound ones."""

from __future__ import annotations

import os
import pickle
from itertools import chain

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
    assert dataset.validation_description == (
        f"10 noisy and clean pictures for validation from {folder / 'val_data.pkl'}"
    )
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


def save_plainly(value, path):
    path.write_bytes(pickle.dumps(value))


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("reached",)


def test_no_code_is_run_from_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (torch.save, save_plainly):
        write((Malicious(), Malicious()), tmp_path / "val_data.pkl")
        with pytest.raises(DataError, match=r"val_data\.pkl: refused, because it wants to run code .*") as caught:
            load(tmp_path)
        assert str(caught.value).endswith(
            f"wants to run code when it is opened ({os.mkdir.__module__}.mkdir); data files hold two tensors and "
            "nothing else: torch.save((first, second), path)"
        )
        assert not (tmp_path / "reached").exists()


BYTES = torch.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pictures(3), "expected a tuple of two tensors, found a Tensor"),
        ((pictures(3),), "expected a tuple of two tensors, found a tuple of 1"),
        ((pictures(3), [1]), "expected a tuple of two tensors, found a tuple of 2"),
        ({"a": pictures(3)}, "expected a tuple of two tensors, found a dict of 1"),
        (
            (pictures(3).float(), pictures(3)),
            r"first tensor: expected uint8 values \(N, C, H, W\), found float32 .*; floats are read from an .npz file",
        ),
        (
            (pictures(3), pictures(3)[0]),
            r"second tensor: expected uint8 values \(N, C, H, W\), found uint8 \(3, 6, 5\)",
        ),
        ((pictures(3), pictures(2)), r"the two tensors must have the same shape, found \(3, 3, 6, 5\), \(2, "),
        ((pictures(0), pictures(0)), "first tensor: holds no pictures"),
        (
            (torch.zeros(1, 3, 8, 8, dtype=BYTES),) * 2,
            r"pictures are 3x8x8 \(C x H x W\), but the network's .* 3x6x5; ch",
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


def test_other_objects_than_tensors_are_named(tmp_path):
    torch.save((pictures(3).numpy(), pictures(3).numpy()), tmp_path / "val_data.pkl")
    with pytest.raises(
        DataError, match=r"wants to run code when it is opened \(numpy\.\w+\.multiarray\._reconstruct\);"
    ):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02K\x01.", b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_pickles(tmp_path, content):
    (tmp_path / "train_data.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"train_data\.pkl: (not a tuple of two tensors|expected a tuple)"):
        load(tmp_path)


def test_truncated_pickle(folder):
    content = (folder / "val_data.pkl").read_bytes()
    (folder / "val_data.pkl").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"val_data\.pkl: not a tuple of two tensors written .*, or damaged"):
        load(folder / "val_data.pkl")


def test_a_name_that_tells_nothing(folder):
    os.rename(folder / "train_data.pkl", folder / "mine.pkl")
    with pytest.raises(DataError, match=r"mine\.pkl: cannot tell training from validation .* name the file train_data"):
        load(folder / "mine.pkl")


def test_pickles_have_no_clean_targets(folder):
    with pytest.raises(DataError, match=r"train_data\.pkl: clean targets were asked for, but this file holds pairs"):
        load(folder, clean_targets=True)
