"""Arrays in files, of every arrangement."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from layerkit.data.pictures import Page, Picture, opened, write_pages
from layerkit.errors import DataError


def changed(path, target) -> list[tuple[int, ...]]:
    """Write the pictures of a file with one added to every value, and return their shapes."""
    shapes = []

    def pages(source):
        for page in source.pages():
            shapes.append(tuple(page.picture.pixels.shape))
            pixels = (page.picture.pixels.double() + 1).to(page.picture.pixels.dtype)
            yield Page(Picture(pixels, page.picture.alpha))

    with opened(path) as source:
        assert source.suffix == target.suffix
        write_pages(target, pages(source), source)
    return shapes


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [
        ((5, 6), [(1, 5, 6)]),
        ((5, 6, 3), [(3, 5, 6)]),
        ((5, 6, 1), [(1, 5, 6)]),
        ((3, 5, 6), [(3, 5, 6)]),
        ((1, 5, 6), [(1, 5, 6)]),
        ((4, 5, 6), [(1, 5, 6)] * 4),
        ((2, 5, 6, 3), [(3, 5, 6)] * 2),
        ((2, 3, 5, 6), [(3, 5, 6)] * 2),
        ((7, 1, 5, 6), [(1, 5, 6)] * 7),
    ],
)
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i4", "i8", "f2", ">f4", "f8"])
def test_arrays_come_back_in_their_shape_and_kind(tmp_path, shape, pictures, dtype):
    given = (100 * np.random.default_rng(0).random(shape)).astype(dtype)
    np.save(tmp_path / "a.npy", given)
    assert changed(tmp_path / "a.npy", tmp_path / "b.npy") == pictures
    again = np.load(tmp_path / "b.npy")
    assert (again.dtype, again.shape) == (given.dtype, shape)
    np.testing.assert_allclose(again, given + np.array(1, given.dtype), rtol=1e-3)


def test_transparency_is_kept(tmp_path):
    given = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", given)
    assert changed(tmp_path / "a.npy", tmp_path / "b.npy") == [(3, 2, 3)]
    assert np.array_equal(np.load(tmp_path / "b.npy"), given + np.array([1, 1, 1, 0], np.uint8))


def test_the_order_of_fortran(tmp_path):
    given = np.asfortranarray(np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6))
    np.save(tmp_path / "a.npy", given)
    changed(tmp_path / "a.npy", tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "b.npy"), given + 1)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_by_name_and_what_is_no_picture(tmp_path, save):
    arrays = {
        "a": np.zeros((5, 6), np.uint8),
        "noisy": np.zeros((2, 3, 5, 6), np.float32),
        "range": np.array(255),
        "who": np.array("me"),
    }
    save(tmp_path / "a.npz", **arrays)
    assert len(changed(tmp_path / "a.npz", tmp_path / "b.npz")) == 3
    again = np.load(tmp_path / "b.npz")
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
    assert np.array_equal(again["noisy"], arrays["noisy"] + 1)
    assert (again["range"], again["who"]) == (255, "me")


def test_a_stack_is_never_in_memory_as_a_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((200, 100, 100), np.uint16))
    tracemalloc.start()
    changed(tmp_path / "a.npy", tmp_path / "b.npy")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000  # of 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros(5), r"no array of pictures: expected numbers of the shape \(H, W\), .*; found float64 \(5,\)"),
        (np.zeros((0, 4)), r"no array of pictures: .*; found float64 \(0, 4\)"),
        (np.zeros((4, 4), np.complex64), r"no array of pictures: .*; found complex64 \(4, 4\)"),
        (np.zeros((2, 2, 5, 6, 3)), "no array of pictures"),
        (np.array([{}, 1]), "holds Python objects, which are not read; write an array of numbers"),
    ],
)
def test_what_holds_no_pictures_is_told(tmp_path, given, sentence):
    np.save(tmp_path / "a.npy", given, allow_pickle=True)
    with pytest.raises(DataError, match=rf"a\.npy: {sentence}"), opened(tmp_path / "a.npy"):
        pass


def test_damaged_files(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 50, 50)))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:30_000])
    with (
        opened(tmp_path / "a.npy") as source,
        pytest.raises(DataError, match=r"a\.npy: ends too early; restore the file"),
    ):
        list(source.pages())
    for content, sentence in (
        (b"", "not a file that numpy.save"),
        (b"text", "not a file that"),
        (whole[:40], "damaged"),
    ):
        (tmp_path / "b.npy").write_bytes(content)
        with pytest.raises(DataError, match=rf"b\.npy: {sentence}"), opened(tmp_path / "b.npy"):
            pass
    (tmp_path / "c.npy").write_bytes(whole.replace(b"(4, 50, 50)", b"(99999, 99999)"[:11] + b")"))
    with pytest.raises(DataError, match=r"c\.npy: "), opened(tmp_path / "c.npy"):
        pass


def test_an_array_that_is_too_large(tmp_path):
    np.save(tmp_path / "a.npy", np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (10, 10), (0, 0)))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(10, 10), }    ", b"(50000, 50000)}"))
    with pytest.raises(DataError, match=r"a\.npy: more than 89 million pixels"), opened(tmp_path / "a.npy"):
        pass
