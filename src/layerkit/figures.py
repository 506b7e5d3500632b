"""The report's pictures as PNG files: the loss curve of its Fig. 1 and the comparison of its Fig. 5.

Both are drawn through matplotlib's objects, never through pyplot, whose current figure is global state.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from layerkit.errors import ShapeError
from layerkit.files import write_atomically
from layerkit.metrics import psnr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
INK, PALE_INK, GRID, BLUE, RED = "#222222", "#666666", "#d9d9d9", "#1f6fb4", "#c0392b"
PANEL = 256
"""The longer side of a picture in the montage, in pixels of the PNG."""
SMOOTHED = 10
"""Points of a long loss curve that are averaged, for they scatter more than they fall."""
GAP, LINE = 16, 36
"""The space between the pictures of the montage and the height of a line of text there, in pixels of the PNG."""


def loss_curve(path: str | Path, images_seen: Sequence[int], losses: Sequence[float], title: str) -> None:
    """Write the training loss against the number of training images seen so far, as in the report's Fig. 1.

    Args:
        path: the PNG file to write.
        images_seen: how many images had been used for training at each point.
        losses: the mean loss of the images since the point before. One that is not finite is marked as a cross on
            the axis and leaves a gap in the line.
        title: what was trained, in one line.

    Raises:
        ShapeError: when there is no point, or not as many losses as counts.
        RunError: when the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    if not images_seen or len(images_seen) != len(losses):
        raise ShapeError(
            "a loss curve needs at least one point, and a loss for each count of images, "
            f"not {len(images_seen)} counts and {len(losses)} losses"
        )
    figure = Figure(figsize=(7, 4.2), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    if len(losses) < 2 * SMOOTHED:
        axes.plot(images_seen, losses, color=BLUE, linewidth=1.8, marker="o", markersize=4.5)
    else:
        axes.plot(images_seen, losses, color=BLUE, linewidth=0.8, alpha=0.35, label="each point")
        means = [sum(losses[end - SMOOTHED : end]) / SMOOTHED for end in range(SMOOTHED, len(losses) + 1)]
        axes.plot(images_seen[SMOOTHED - 1 :], means, color=BLUE, linewidth=2, label=f"mean of {SMOOTHED} points")
        axes.legend(frameon=False)
    lost = [seen for seen, loss in zip(images_seen, losses, strict=True) if not math.isfinite(loss)]
    if lost:
        on_axis = axes.get_xaxis_transform()
        axes.plot(lost, [0] * len(lost), "x", color=RED, transform=on_axis, clip_on=False, label="loss is not finite")
        axes.legend(frameon=False)
    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=12, parse_math=False)
    axes.set_xlabel("training images seen", color=INK)
    axes.set_ylabel("training loss\n(mean since the point before)", color=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.margins(y=0.1)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _write(path, figure)


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
    from matplotlib.figure import Figure

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

    # One axes covers the sheet and counts pixels of the PNG, from the top left corner.
    panel_height, panel_width = _panel_size(*noisy.shape[2:])
    step_right, step_down = panel_width + GAP, panel_height + (GAP if clean is None else LINE)
    rows = min(count, noisy.shape[0])
    width, height = GAP + len(columns) * step_right, LINE + rows * step_down + (0 if clean is None else LINE)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    text = partial(axes.text, ha="center", va="center", color=INK)
    for left, (name, pictures) in zip(range(GAP, width, step_right), columns.items(), strict=True):
        middle = left + panel_width / 2
        text(middle, LINE / 2, name, fontsize=12, weight="bold")
        for row, picture in enumerate(pictures):
            top = LINE + row * step_down
            bottom = top + panel_height
            # "antialiased" keeps the pixels of an enlarged picture, and smooths a large one that is made smaller.
            axes.imshow(
                picture.permute(1, 2, 0).numpy(),
                extent=(left, left + panel_width, bottom, top),
                interpolation="antialiased",
                cmap="gray",
                vmin=0,
                vmax=1,
            )
            if clean is not None and name != "clean":
                ratio = psnr(picture[None], columns["clean"][row : row + 1]).item()
                text(middle, bottom + LINE / 2, "identical" if math.isinf(ratio) else f"{ratio:.2f} dB", fontsize=11)
    if clean is not None:
        text(width / 2, height - LINE / 2, "PSNR against the clean picture", color=PALE_INK)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    _write(path, figure)


def _panel_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width at which a picture is shown; a small one is enlarged a whole number of times."""
    longer = max(height, width)
    scale = PANEL // longer if longer <= PANEL else PANEL / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def _write(path: str | Path, figure: Figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    png = io.BytesIO()
    FigureCanvasAgg(figure).print_png(png)
    write_atomically(path, png.getvalue())
