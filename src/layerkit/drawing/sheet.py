"""The report's pictures as PNG files: the loss curve of its Fig. 1 and the comparison of its Fig. 5.

Both are drawn through matplotlib's objects, never through pyplot, whose current figure is global state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from layerkit.data.pictures import middle
from layerkit.denoising.metrics import psnr
from layerkit.errors import ShapeError

if TYPE_CHECKING:
    pass
from layerkit.drawing.style import DPI, INK, PALE_INK, write_figure

PANEL = 256
"""The longer side of a picture in the montage, in pixels of the PNG."""
WIDE_PANEL, DETAIL = 320, 80
"""The longer side of a picture in a comparison, in pixels of the PNG, and that of the detail, in its own pixels."""
GAP, LINE = 16, 36
"""The space between the pictures of the montage and the height of a line of text there, in pixels of the PNG."""


def montage(path: str | Path, noisy: Tensor, denoised: Tensor, clean: Tensor | None, count: int = 5) -> None:
    """Write the first ``count`` pictures before and after denoising, a row each, as in the report's Fig. 5.

    The columns are noisy, denoised and, where it is known, clean; beneath a picture stands its PSNR against the clean
    one. Pixels of small pictures stay visible as squares of the same size.

    Args:
        path: the PNG file to write.
        noisy, denoised, clean: (N, C, H, W), values from 0 to 1, clipped for display; C is 1 (grey) or 3 (colour).
        count: the most rows to draw.

    Raises:
        ShapeError: when the shapes differ, or cannot be shown as pictures.
        RunError: when the file cannot be written.
    """
    columns = {"noisy": noisy, "denoised": denoised} | ({} if clean is None else {"clean": clean})
    shapes = {name: tuple(pictures.shape) for name, pictures in columns.items()}
    if len(set(shapes.values())) > 1:
        raise ShapeError(f"the columns of a montage must have one shape (N, C, H, W), not {shapes}")
    if noisy.dim() != 4 or noisy.shape[1] not in (1, 3) or not noisy.numel() or count < 1:
        raise ShapeError(
            "a montage needs at least one picture, as (N, C, H, W) with 1 or 3 channels, "
            f"not {count} of {shapes['noisy']}"
        )
    columns = {name: pictures[:count].detach().float().cpu().clamp(0, 1) for name, pictures in columns.items()}
    rows = []
    for number, pictures in enumerate(zip(*columns.values(), strict=True)):
        captions = None
        if clean is not None:
            original = columns["clean"][number : number + 1]
            captions = [_ratio(picture[None], original) for picture in pictures[:-1]] + [""]
        rows.append(_Row(pictures, PANEL, captions))
    _write_sheet(path, list(columns), rows, "" if clean is None else "PSNR against the clean picture")


def comparison(path: str | Path, versions: Mapping[str, Tensor], note: str) -> None:
    """Write versions of one picture side by side, and below them the middle of each enlarged.

    Args:
        path: the PNG file to write.
        versions: name and picture, (C, H, W) of one shape, values from 0 to 1, clipped for display; C is 1 or 3.
        note: what there is to know about them, in one line.

    Raises:
        ShapeError: when the shapes differ, or cannot be shown as pictures.
        RunError: when the file cannot be written.
    """
    shapes = {name: tuple(picture.shape) for name, picture in versions.items()}
    shape = next(iter(shapes.values()), ())
    if set(shapes.values()) != {shape} or len(shape) != 3 or shape[0] not in (1, 3) or 0 in shape:
        raise ShapeError(f"a comparison needs pictures of one shape (1 or 3, H, W), not {shapes}")
    pictures = [picture.detach().float().cpu().clamp(0, 1) for picture in versions.values()]
    rows = [_Row(pictures, WIDE_PANEL)]
    if max(shape) > 2 * DETAIL:  # in a smaller one every pixel can be seen already
        rows = [_Row(pictures, WIDE_PANEL, marked=DETAIL), _Row([middle(p, DETAIL) for p in pictures], WIDE_PANEL)]
    _write_sheet(path, list(versions), rows, note)


@dataclass(frozen=True)
class _Row:
    """Pictures side by side on a sheet, one for every column.

    Attributes:
        pictures: (C, H, W) of one shape each, values from 0 to 1.
        panel: the longer side of a picture, in pixels of the PNG.
        captions: what stands beneath each picture; None for a row without.
        marked: side of the middle part that a frame marks, in the picture's pixels; 0 for none.
    """

    pictures: Sequence[Tensor]
    panel: int
    captions: Sequence[str] | None = None
    marked: int = 0


def _write_sheet(path: str | Path, names: Sequence[str], rows: Sequence[_Row], foot: str) -> None:
    """Write rows of pictures, with a name above every column and a line of text at the foot if there is one."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    # One axes covers the sheet and counts pixels of the PNG, from the top left corner.
    sizes = [_panel_size(*row.pictures[0].shape[1:], row.panel) for row in rows]
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


def _ratio(picture: Tensor, clean: Tensor) -> str:
    ratio = psnr(picture, clean).item()
    return "identical" if math.isinf(ratio) else f"{ratio:.2f} dB"


def _panel_size(height: int, width: int, panel: int) -> tuple[int, int]:
    """Return the height and width at which a picture is shown; a small one is enlarged a whole number of times."""
    longer = max(height, width)
    scale = panel // longer if longer <= panel else panel / longer
    return max(1, round(height * scale)), max(1, round(width * scale))
