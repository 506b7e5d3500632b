"""The loss curve, as in Fig. 1 of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from layerkit.drawing.style import BLUE, DPI, GRID, INK, RED, write_figure
from layerkit.errors import ShapeError

SMOOTHED = 10
"""How many points of a long loss curve are averaged, because single points scatter too much."""


def loss_curve(path: str | Path, images_seen: Sequence[int], losses: Sequence[float], title: str) -> None:
    """Write the training loss against the number of training images seen so far, as in the report's Fig. 1.

    Args:
        path: the PNG file to write.
        images_seen: how many images had been used for training at each point.
        losses: the mean loss of the images since the point before. A loss that is not finite is marked by a cross on
            the axis and leaves a gap in the line.
        title: the title, one line.

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
    write_figure(path, figure)
