"""Charts of the report's curves and ours as SVG, drawn through matplotlib's objects."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from layerkit.denoising.metrics import PSNR_MEAN
from layerkit.drawing.style import BLUE, GRID, INK, RED
from layerkit.experiments.report.section import Place, Section, Spread, averaged

GREEN, PURPLE = "#2f7d4f", "#7a4fa3"
LINES = (BLUE, PURPLE, GREEN)
WIDTH, HEIGHT = 6.0, 3.8
"""The size of a panel in inches; it is narrow, so that letters stay readable when a phone scales it to its width."""
LETTERS = 48
"""The number of letters in a line along an axis."""
styled = rc_context(
    {
        "svg.hashsalt": "layerkit",  # equal results give files with equal bytes
        "text.parse_math": False,  # a dollar sign does not begin a formula
        "font.size": 10.0,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)
"""A decorator that draws a function's figure in this style."""
SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Ticks of an axis of seconds."""
SMALLEST_RANGE = 0.5
"""The smallest range of an axis in dB, so that noise does not look like a trend."""


@styled
def loss_chart(section: Section) -> bytes | None:
    """Return the training loss over the pictures seen, on the report's scale and on ours; None without results."""
    spec, reported = section.experiment.figure, section.experiment.reported
    lines = [(outcome, averaged(outcome.done.curve)) for outcome in section.outcomes if outcome.done]
    lines = [(outcome, points) for outcome, points in lines if points]
    if not lines:
        return None
    figure, (axes,) = _figure(1, "training pictures seen")
    axes.set_ylabel("training loss\n" + fill(f"({spec.report_label or 'mean squared error'})", LETTERS))
    for colour, (outcome, points) in zip(_colours(len(lines)), lines, strict=False):
        label = "layerkit" if len(lines) == 1 else f"layerkit, {outcome.trial.label}"
        seen, losses = [point.pictures for point in points], [point.loss * spec.report_factor for point in points]
        axes.plot(seen, losses, color=colour, linewidth=2, marker="o", markersize=4.5, label=label)
    reached = max(points[-1].pictures for _, points in lines)
    theirs = {x: loss for x, loss in zip(reported.x, reported.loss, strict=False) if x <= reached}
    if theirs:
        _reported(axes, list(theirs), list(theirs.values()))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if spec.report_factor != 1:
        right = axes.secondary_yaxis("right", functions=_scale(1 / spec.report_factor))
        right.set_ylabel("mean squared error")
    axes.legend(frameon=False)
    return _svg(figure)


@styled
def curve_chart(section: Section) -> bytes | None:
    """Return PSNR along a value of the architecture, and seconds below it if asked for; None without results."""
    spec, reported = section.experiment.figure, section.experiment.reported
    curves = section.curves()
    if not any(place.psnr for places in curves.values() for place in places):
        return None
    figure, panels = _figure(2 if spec.seconds else 1, spec.x_label or spec.x or "")
    axes, x = panels[0], [x / spec.report_factor for x in reported.x]
    axes.set_ylabel(PSNR_MEAN.heading)
    for colour, (series, places) in zip(_colours(len(curves)), curves.items(), strict=False):
        _line(axes, [(place.x, place.psnr) for place in places], colour, _label(series))
    if reported.psnr:
        _reported(axes, x, reported.psnr)
    low, high = axes.get_ylim()
    if high - low < SMALLEST_RANGE:
        middle = (low + high) / 2
        axes.set_ylim(middle - SMALLEST_RANGE / 2, middle + SMALLEST_RANGE / 2)
    _mark_lost(axes, curves)
    if spec.seconds:
        _seconds(panels[1], curves, x, reported.seconds)
    if spec.x_log:
        panels[-1].set_xscale("log")
        panels[-1].xaxis.set_major_formatter(ScalarFormatter())
    if spec.report_factor != 1:
        top = axes.secondary_xaxis("top", functions=_scale(spec.report_factor))
        top.set_xlabel(fill(spec.report_label, LETTERS), color=RED)
        top.tick_params(colors=RED)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=min(2, len(labels)))
    return _svg(figure)


def _line(axes: Axes, places: Sequence[tuple[float, Spread | None]], colour: str, label: str) -> None:
    """Draw the mean of the seeds as a line, and from the least to the greatest as a band."""
    shown = [(x, spread) for x, spread in places if spread]
    x, means = [x for x, _ in shown], [spread.mean for _, spread in shown]
    axes.plot(x, means, color=colour, linewidth=2, marker="o", markersize=5, label=label)
    if any(spread.width is not None for _, spread in shown):
        low, high = [min(spread.values) for _, spread in shown], [max(spread.values) for _, spread in shown]
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _mark_lost(axes: Axes, curves: dict[str, list[Place]]) -> None:
    """Mark on the axis the places where a trial did not finish."""
    lost = sorted({place.x for places in curves.values() for place in places if place.statuses})
    if lost:
        axes.plot(
            lost,
            [0.02] * len(lost),
            "x",
            color=RED,
            markersize=9,
            markeredgewidth=2,
            transform=axes.get_xaxis_transform(),
            label="no result",
        )


def _seconds(axes: Axes, curves: dict[str, list[Place]], x: Sequence[float], reported: Sequence[float]) -> None:
    """Draw seconds on a logarithmic axis, since ours are far fewer than the report's and only their growth matters."""
    for colour, (series, places) in zip(_colours(len(curves)), curves.items(), strict=False):
        _line(axes, [(place.x, place.seconds) for place in places], colour, f"{_label(series)}, seconds")
    if reported:
        _reported(axes, x, reported, "report, seconds")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in SECONDS if low <= tick <= high])
    axes.set_ylabel("training in seconds\n(logarithmic)")


def _reported(axes: Axes, x: Sequence[float], y: Sequence[float], label: str = "report") -> None:
    axes.plot(x, y, color=RED, linewidth=1.4, linestyle="--", marker="s", markersize=5, fillstyle="none", label=label)


def _label(series: str) -> str:
    return f"layerkit: {series}" if series else "layerkit"


def _scale(factor: float) -> tuple[Callable[[ArrayLike], ArrayLike], Callable[[ArrayLike], ArrayLike]]:
    """Return the function from our axis to one whose numbers are ``factor`` times ours, and its inverse."""
    return lambda values: np.asarray(values) * factor, lambda values: np.asarray(values) / factor


def _colours(count: int) -> list[str]:
    return [LINES[index % len(LINES)] for index in range(count)]


def _figure(panels: int, x: str) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels one below the other, with one axis along x."""
    figure = Figure(figsize=(WIDTH, HEIGHT * (1 + 0.75 * (panels - 1))), layout="constrained")
    axes = list(figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0])
    for each in axes:
        each.grid(color=GRID, linewidth=0.6)
        each.set_axisbelow(True)
        each.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel(x)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    text = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]  # matplotlib has no type here
    return text.getvalue()
