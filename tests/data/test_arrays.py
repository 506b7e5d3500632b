"""What pictures in memory must be; the rest of it is held by the tests of ``Model`` and of ``Denoiser``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from layerkit.data.arrays import ArrayPairs, pictures
from layerkit.errors import DataError, DataWarning, ShapeError


@pytest.mark.parametrize(
    ("shape", "channels", "remedy", "axes"),
    [
        ((3, 12, 12), None, "; one picture alone is p[None]", None),
        ((1, 12, 12), 1, "; one picture alone is p[None]", None),
        ((12, 12, 3), None, "; one picture (H, W, C) alone is p.TURN(2, 0, 1)[None]", (2, 0, 1)),
        ((12, 12, 1), 1, "; one picture (H, W, C) alone is p.TURN(2, 0, 1)[None]", (2, 0, 1)),
        ((2, 12, 12, 3), 3, "; turn pictures (N, H, W, C) with p.TURN(0, 3, 1, 2)", (0, 3, 1, 2)),
        ((12, 12), 1, "; one grey picture alone is p[None, None]", None),
        ((12, 12), 3, "", None),
        ((2, 3, 12, 12), 1, "", None),
        ((2, 3, 0, 12), None, "", None),
    ],
)
@pytest.mark.parametrize("turn", ["permute", "transpose"])
def test_another_shape_is_told_how_to_fit(turn, shape, channels, remedy, axes):
    values = torch.zeros(shape) if turn == "permute" else np.zeros(shape)
    with pytest.raises(ShapeError) as caught:
        pictures(values, "p", channels)
    expected = f"p: expected pictures of shape (N, {channels or 'C'}, H, W), got {shape}"
    assert str(caught.value) == expected + remedy.replace("TURN", turn)
    if axes:
        turned = getattr(values, turn)(*axes)
        pictures(turned if len(axes) == 4 else turned[None], "p", channels)


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ([[[[0.0]]]], "list"),
        (np.array([[[["a"]]]]), "<U1"),
        (np.zeros((1, 1, 2, 2), np.int64), "int64"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.bool), "torch.bool"),
    ],
)
def test_another_kind_of_values_is_refused(values, given):
    with pytest.raises(
        DataError, match=f"p: expected a torch tensor or a numpy array of uint8, uint16 or floats.*, got {given}"
    ):
        pictures(values, "p")


def test_a_warning_points_to_the_line_outside_of_layerkit():
    with pytest.warns(DataWarning, match="p: the values go from 0.5 to 0.5, but 0 to 255 is expected") as told:
        pictures(torch.full((1, 1, 2, 2), 0.5), "p")
    assert told[0].filename == __file__


def test_what_holds_no_values_is_refused():
    with pytest.raises(DataError, match='p: tensors on the device "meta" hold no values'):
        pictures(torch.zeros(1, 1, 2, 2, device="meta"), "p")


def test_sixteen_bits_are_written_as_floats_to_255(tmp_path):
    values = np.array([0, 257, 300, 65535], np.uint16).reshape(1, 1, 2, 2)
    pairs = ArrayPairs(pictures(values, "p"), pictures(values, "p"))
    with np.load(pairs.write(tmp_path)) as arrays:
        assert arrays["range"] == 255
        np.testing.assert_allclose(arrays["noisy_1"].ravel(), [0, 1, 300 / 257, 255], rtol=1e-6)
