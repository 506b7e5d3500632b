"""Draws a network as a diagram: layers from top to bottom, containers as frames, skip connections as arrows."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.disk import write_atomically
from layerkit.errors import UserError
from layerkit.spec.tracing import Step, once

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, GAP, MARGIN = 0.46, 0.26, 0.34
"""The height of a layer's box and of the arrow below it, and the margin of a frame on each side, in inches."""
WIDTH = 4.6
"""Width of the innermost boxes, in inches."""
INK, FRAME, BOX, JOIN = "#222222", "#8a8a8a", "#eaf2fa", "#c0392b"
Describe = Callable[[LayerSpec], str]
JOINED = {"residual": "+", "skip": "concat"}
"""Containers with a connection around their content, and how it joins the output."""


def draw_network(path: str | Path, title: str, input_shape: Shape, steps: list[Step], describe: Describe) -> None:
    """Draw a traced network into a file.

    Args:
        path: the file to write; its suffix is .svg, .png or .pdf.
        title: the title, one line.
        input_shape: the shape of one sample.
        steps: the steps of :func:`layerkit.spec.tracing.trace`.
        describe: returns a layer's fields as text.

    Raises:
        UserError: when the file has another suffix.
        RunError: when the file cannot be written.
    """
    from matplotlib.figure import Figure

    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in ("svg", "png", "pdf"):
        raise UserError(f"{path}: a diagram is written as .svg, .png or .pdf")
    steps = once(steps)
    deepest = max((step.depth + step.container for step in steps), default=0)
    width = WIDTH + 2 * MARGIN * (deepest + 1)
    height = _height(steps) + 1.2
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(-height, 0))
    axes.axis("off")
    axes.text(width / 2, -0.3, title, ha="center", va="center", fontsize=13, weight="bold", color=INK)
    axes.text(width / 2, -0.62, _shape(input_shape), ha="center", va="center", fontsize=9, color=INK)
    _Drawing(axes, width / 2, describe).layers(steps, 0, len(steps), -0.75)
    buffer = io.BytesIO()
    # A picture of more than about 65,000 rows cannot be written.
    figure.savefig(buffer, format=suffix, dpi=min(120, 60_000 / height))
    write_atomically(path, buffer.getvalue())


def _height(steps: list[Step]) -> float:
    return sum(GAP + (2 * MARGIN - GAP / 2 if step.container else ROW) for step in steps)


def _shape(shape: Shape) -> str:
    return " x ".join(map(str, shape))


class _Drawing:
    """Draws boxes from top to bottom, centred on one vertical line; ``top`` is the upper edge of the next box."""

    def __init__(self, axes: Axes, middle: float, describe: Describe) -> None:
        self.axes, self.middle, self.describe = axes, middle, describe

    def layers(self, steps: list[Step], first: int, last: int, top: float) -> float:
        """Draw the steps ``first`` to ``last`` and their content; return the lower edge of the last."""
        index = first
        while index < last:
            end = _end(steps, index, last)
            self._arrow(top, top - GAP)
            top -= GAP
            top = self._container(steps, index, end, top) if steps[index].container else self._box(steps[index], top)
            index = end
        return top

    def _box(self, step: Step, top: float) -> float:
        self._rectangle(WIDTH, top, top - ROW, BOX, INK)
        fields = self.describe(step.layer)
        self.axes.text(
            self.middle - WIDTH / 2 + 0.12, top - ROW / 2, step.layer.type, va="center", fontsize=9, weight="bold"
        )
        self.axes.text(self.middle + 0.1, top - ROW / 2, fields, ha="center", va="center", fontsize=7.5, color=INK)
        right = self.middle + WIDTH / 2 - 0.12
        self.axes.text(right, top - ROW / 2, _shape(step.output_shape), ha="right", va="center", fontsize=8, color=INK)
        return top - ROW

    def _container(self, steps: list[Step], index: int, end: int, top: float) -> float:
        step = steps[index]
        inside = max(other.depth - step.depth + other.container - 1 for other in steps[index + 1 : end])
        width = WIDTH + 2 * MARGIN * (inside + 1)
        label = " ".join(filter(None, (step.layer.type, self.describe(step.layer))))
        inside_top = top - MARGIN + GAP / 2
        self.axes.plot([self.middle] * 2, [top, inside_top], color=INK, linewidth=0.8)
        bottom = self.layers(steps, index + 1, end, inside_top) - MARGIN
        self._rectangle(width, top, bottom, "none", FRAME)
        self.axes.text(self.middle - width / 2 + 0.08, top - 0.13, label, va="center", fontsize=8, color=FRAME)
        join = JOINED.get(step.layer.type)
        self._arrow(bottom + MARGIN, bottom)
        if join:
            self._around(width, top - 0.1, bottom + MARGIN / 2, join)
        return bottom

    def _around(self, width: float, top: float, bottom: float, join: str) -> None:
        side = self.middle + width / 2 - MARGIN / 2
        line = [(self.middle, top), (side, top), (side, bottom), (self.middle, bottom)]
        self.axes.plot(*zip(*line[:3], strict=True), color=JOIN, linewidth=1)
        self.axes.annotate("", line[3], line[2], arrowprops={"arrowstyle": "->", "color": JOIN, "linewidth": 1})
        self.axes.text(self.middle + 0.08, bottom + 0.08, join, fontsize=8, color=JOIN, va="center")

    def _rectangle(self, width: float, top: float, bottom: float, face: str, edge: str) -> None:
        from matplotlib.patches import FancyBboxPatch

        left = self.middle - width / 2
        style = "round,pad=0,rounding_size=0.06"
        self.axes.add_patch(
            FancyBboxPatch((left, bottom), width, top - bottom, boxstyle=style, facecolor=face, edgecolor=edge)
        )

    def _arrow(self, top: float, bottom: float) -> None:
        arrow = {"arrowstyle": "->", "color": INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        self.axes.annotate("", (self.middle, bottom), (self.middle, top), arrowprops=arrow)


def _end(steps: list[Step], index: int, last: int) -> int:
    """Return the index behind the last step that is inside the step at ``index``."""
    end = index + 1
    while end < last and steps[end].depth > steps[index].depth:
        end += 1
    return end
