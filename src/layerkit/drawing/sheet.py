"""Draws sheets of pictures: rows of pictures, with names above the columns and captions below the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from layerkit.drawing.style import DPI, INK, PALE_INK, write_figure

GAP, LINE = 16, 36
"""The space between pictures, and the height of a line of text, in pixels of the PNG."""


@dataclass(frozen=True)
class Row:
    """Pictures side by side on a sheet, one for every column.

    Attributes:
        pictures: (C, H, W) each, all of the same shape, values from 0 to 1.
        panel: the longer side of a picture, in pixels of the PNG.
        captions: the text below each picture; None for a row without captions.
        marked: the side of the middle part that is marked with a frame, in the picture's pixels; 0 for none.
    """

    pictures: Sequence[Tensor]
    panel: int
    captions: Sequence[str] | None = None
    marked: int = 0


def write_sheet(path: str | Path, names: Sequence[str], rows: Sequence[Row], foot: str) -> None:
    """Write rows of pictures, with a name above every column and an optional line of text at the foot.

    Args:
        path: the PNG file to write.
        names: the names of the columns.
        rows: the rows from top to bottom; each has a picture for every column.
        foot: the line of text; empty for none.

    Raises:
        RunError: when the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    # One matplotlib axes covers the sheet; its coordinates are pixels of the PNG, from the top left corner.
    sizes = [_panel_size(row.pictures[0].shape[1], row.pictures[0].shape[2], row.panel) for row in rows]
    steps = [size[0] + (GAP if row.captions is None else LINE) for row, size in zip(rows, sizes, strict=True)]
    column_width = max(size[1] for size in sizes)
    width, height = GAP + len(names) * (column_width + GAP), LINE + sum(steps) + (LINE if foot else 0)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    text = partial(axes.text, ha="center", va="center", color=INK)
    for column, name in enumerate(names):
        middle_of_column = GAP + column * (column_width + GAP) + column_width / 2
        text(middle_of_column, LINE / 2, name, fontsize=12, weight="bold")
        bottom = LINE
        for row, (panel_height, panel_width), step in zip(rows, sizes, steps, strict=True):
            top, left = bottom, round(middle_of_column - panel_width / 2)
            picture = row.pictures[column]
            # "antialiased" keeps the pixels of an enlarged picture, and smooths a large one that is made smaller.
            axes.imshow(
                picture.permute(1, 2, 0).numpy(),
                extent=(left, left + panel_width, top + panel_height, top),
                interpolation="antialiased",
                cmap="gray",
                vmin=0,
                vmax=1,
            )
            if row.captions is not None and row.captions[column]:
                text(middle_of_column, top + panel_height + LINE / 2, row.captions[column], fontsize=11)
            if row.marked:
                high, wide = (
                    panel * min(1, row.marked / side)
                    for panel, side in zip((panel_height, panel_width), picture.shape[1:], strict=True)
                )
                corner = (left + (panel_width - wide) / 2, top + (panel_height - high) / 2)
                axes.add_patch(Rectangle(corner, wide, high, fill=False, color="white", linewidth=1))
            bottom += step
    if foot:
        text(width / 2, height - LINE / 2, foot, color=PALE_INK)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    write_figure(path, figure)


def _panel_size(height: int, width: int, panel: int) -> tuple[int, int]:
    """Return the height and width at which a picture is shown; a small one is enlarged by a whole factor."""
    longer = max(height, width)
    scale = panel // longer if longer <= panel else panel / longer
    return max(1, round(height * scale)), max(1, round(width * scale))
