"""The table of sources opens data sets, names their files and explains them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from layerkit.builtin.noises.gaussian import Gaussian
from layerkit.data.pictures import Picture, write_picture
from layerkit.data.sources import HELP, PHOTOS, SOURCES, VARIETY, fingerprint, load_dataset
from layerkit.errors import DataError

NOISELESS = Gaussian(0.0)


def two_pictures(folder: Path) -> None:
    for name in ("a", "b"):
        write_picture(folder / f"{name}.png", Picture(torch.zeros(3, 20, 30, dtype=torch.uint8)))


def test_every_source_is_named_in_the_help_and_claims_its_data(tmp_path):
    two_pictures(tmp_path / "pictures")
    (tmp_path / "pickles").mkdir()
    for name in ("val_data.pkl", "train_data.pkl", "other.pkl", "picture.png"):
        (tmp_path / "pickles" / name).touch()
    (tmp_path / "pairs.npz").touch()
    given = {
        PHOTOS: [],
        VARIETY: [],
        f"alone:{tmp_path / 'pictures' / 'a.png'}": ["a.png"],
        tmp_path / "pickles": ["train_data.pkl", "val_data.pkl"],
        tmp_path / "pickles" / "other.pkl": ["other.pkl"],
        tmp_path / "pairs.npz": ["pairs.npz"],
        tmp_path / "pictures": ["a.png", "b.png"],
        tmp_path / "pictures" / "a.png": ["a.png"],
    }
    claimed = []
    for data, files in given.items():
        source = next(source for source in SOURCES if source.claims(data))
        assert [path.name for path in source.files(source.path(data))] == files
        claimed.append(source)
    assert set(claimed) == set(SOURCES)
    assert all(source.help in HELP for source in SOURCES)


def test_a_folder_called_photos_is_a_folder(tmp_path, monkeypatch):
    two_pictures(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    assert "2 of the 2 pictures in photos" in load_dataset("./photos", (3, 8, 8), NOISELESS, 0, 10).description
    assert "7 photographs" in load_dataset("photos", (3, 8, 8), NOISELESS, 0, 10, validation_samples=1).description
    assert fingerprint("./photos") != fingerprint("photos") == "photos"


def test_the_fingerprint_is_that_of_the_bytes_that_are_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train_data.pkl").write_bytes(b"1")
        (tmp_path / name / "README").write_text(name)
    assert fingerprint(str(tmp_path / "a")) == fingerprint(str(tmp_path / "b"))
    # Results of sweeps are kept under it.
    assert fingerprint(str(tmp_path / "a")).startswith("206981745")
    (tmp_path / "b" / "val_data.pkl").write_bytes(b"")
    assert fingerprint(str(tmp_path / "a")) != fingerprint(str(tmp_path / "b"))


def test_nothing_there(tmp_path):
    for opened in (lambda path: load_dataset(path, (3, 8, 8), NOISELESS, 0, 10), fingerprint):
        with pytest.raises(DataError, match="none: no such file or folder; give one of these: photos, the photographs"):
            opened(tmp_path / "none")
