from __future__ import annotations

import sys

import pytest

from layerkit.registry.taken import why_taken


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("skimage", "skimage can be imported here"),  # of the distribution scikit-image
        ("scikit-image", "the package scikit-image is installed here"),
        ("scikit_image", "the package scikit-image is installed here"),
        ("asyncio", "it is a module of Python itself"),
        ("opencv_python", "it is a well-known package on the Python Package Index"),
        ("layerkit-wavelet", ""),
        ("wavelet-of-mine", ""),
    ],
)
def test_whose_name_it_is(name: str, reason: str) -> None:
    assert why_taken(name) == reason


def test_what_can_be_imported_is_not_imported(tmp_path, monkeypatch) -> None:
    (tmp_path / "of_a_neighbour.py").write_text("raise SystemExit")
    assert why_taken("of-a-neighbour") == ""
    monkeypatch.syspath_prepend(tmp_path)
    assert why_taken("of-a-neighbour") == "of_a_neighbour can be imported here"
    assert "of_a_neighbour" not in sys.modules


def test_a_damaged_installation_does_not_matter(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert why_taken("layerkit-wavelet") == ""
