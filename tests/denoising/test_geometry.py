"""Where tiles lie. That they leave no trace in the pictures is tried in test_denoiser.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from layerkit.builtin.layers.conv2d import Conv2d
from layerkit.builtin.layers.sequential import Sequential
from layerkit.denoising.geometry import Geometry, Tiling, spans


@given(
    st.integers(1, 200),
    st.integers(1, 64),
    st.integers(1, 8),
    st.integers(0, 20),
    st.integers(1, 30),
)
def test_the_tiles_of_an_axis_cover_it_once(size: int, side: int, grid: int, reach: int, smallest: int) -> None:
    size = -(-max(size, smallest) // grid) * grid  # as the picture is continued
    tiles = spans(size, side, Tiling(grid, reach), smallest)
    assert [tile.start for tile in tiles] == [0, *(tile.stop for tile in tiles[:-1])]
    assert tiles[-1].stop == size
    for tile in tiles:
        assert tile.begin % grid == tile.start % grid == 0
        assert tile.stop - tile.start <= max(grid, side)
        assert tile.read >= smallest
        assert tile.begin == 0 or tile.begin <= tile.start - reach
        assert tile.end == size or tile.end >= tile.stop + reach
        assert tile.answer.stop - tile.answer.start == tile.stop - tile.start


def test_a_halo_is_the_reach_in_steps_of_the_grid() -> None:
    assert [Tiling(4, reach).halo for reach in (0, 1, 4, 5)] == [0, 4, 4, 8]


def test_what_a_convolution_keeps_and_sees() -> None:
    geometry = Geometry(Conv2d(1, 1, 5, padding=2).eval(), (1, 12, 12))
    assert geometry.sizes == (1, 1)
    assert geometry.tiling == (1, 2)
    one_piece, in_tiles = geometry.tiles(30, 20, 30), geometry.tiles(30, 20, 16)
    assert [len(along) for along in one_piece] == [1, 1]
    assert [[(tile.start, tile.stop) for tile in along] for along in in_tiles] == [
        [(0, 15), (15, 30)],
        [(0, 10), (10, 20)],
    ]


def test_reach_is_measured_where_no_outputs_share_their_sums() -> None:
    layers = [Conv2d(16 if index else 1, 1 if index == 3 else 16, 3, padding=1) for index in range(4)]
    assert Geometry(Sequential(*layers).eval(), (1, 12, 12)).tiling == (1, 4)


class SinglePrecision(Conv2d):
    """A convolution that does not work in another precision, as a stranger's layer may."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


def test_a_network_that_has_no_double_precision_is_measured_as_it_is() -> None:
    assert Geometry(SinglePrecision(1, 1, 3, padding=1).eval(), (1, 12, 12)).tiling == (1, 1)
