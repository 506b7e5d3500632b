"""The report's curves as SVG, ours beside its own, drawn through matplotlib's objects."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from layerkit.denoising.metrics import PSNR_MEAN
from layerkit.drawing.style import BLUE, GRID, INK, RED
from layerkit.experiments.report.section import Place, Section, averaged

GREEN, PURPLE = "#2f7d4f", "#7a4fa3"
LINES = (BLUE, PURPLE, GREEN)
SIZE = (6.4, 4.2)
"""Inches; the page scales the figure to its width."""
SECONDS = (0.1, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Ticks of an axis of seconds."""
SMALLEST_RANGE = 0.5
"""Decibels that an axis shows at least, so that noise does not look like a trend."""


def loss_chart(section: Section) -> bytes | None:
    """Return the training loss over the pictures seen, on the report's scale and on ours; None without results."""
    figure_spec, reported = section.experiment.figure, section.experiment.reported
    lines = [(outcome, averaged(outcome.done.curve)) for outcome in section.outcomes if outcome.done]
    lines = [(outcome, points) for outcome, points in lines if points]
    if not lines:
        return None
    figure, axes = _figure(
        "training pictures seen", f"training loss\n({figure_spec.report_label or 'mean squared error'})"
    )
    factor = figure_spec.report_factor
    for colour, (outcome, points) in zip(_colours(len(lines)), lines, strict=False):
        label = "layerkit" if len(lines) == 1 else f"layerkit, {outcome.trial.label}"
        seen, losses = [point.pictures for point in points], [point.loss * factor for point in points]
        axes.plot(seen, losses, color=colour, linewidth=2, marker="o", markersize=4.5, label=label)
    if reported.loss:
        _reported(axes, reported.x, reported.loss)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    if factor != 1:
        right = axes.secondary_yaxis("right", functions=_scale(1 / factor))
        right.set_ylabel("mean squared error", color=INK)
    axes.legend(frameon=False)
    return _svg(figure)


def curve_chart(section: Section) -> bytes | None:
    """Return PSNR, and seconds if asked for, along a value of the architecture; None without results."""
    spec, reported = section.experiment.figure, section.experiment.reported
    curves = section.curves()
    if not any(place.psnr for places in curves.values() for place in places):
        return None
    figure, axes = _figure(spec.x_label or spec.x or "", PSNR_MEAN.heading)
    for colour, (series, places) in zip(_colours(len(curves)), curves.items(), strict=False):
        _psnr_line(axes, places, colour, f"layerkit: {series}" if series else "layerkit")
    if reported.psnr:
        _reported(axes, [x / spec.report_factor for x in reported.x], reported.psnr)
    if spec.x_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
    low, high = axes.get_ylim()
    if high - low < SMALLEST_RANGE:
        middle = (low + high) / 2
        axes.set_ylim(middle - SMALLEST_RANGE / 2, middle + SMALLEST_RANGE / 2)
    _mark_lost(axes, curves)
    handles, labels = axes.get_legend_handles_labels()
    if spec.seconds:
        right = _seconds(axes, curves, [x / spec.report_factor for x in reported.x], reported.seconds)
        more = right.get_legend_handles_labels()
        handles, labels = handles + more[0], labels + more[1]
    if spec.report_factor != 1:
        top = axes.secondary_xaxis("top", functions=_scale(spec.report_factor))
        top.set_xlabel(spec.report_label, color=RED)
        top.tick_params(colors=RED)
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=min(2, len(labels)))
    return _svg(figure)


def _psnr_line(axes: Axes, places: Sequence[Place], colour: str, label: str) -> None:
    shown = [(place.x, spread) for place in places if (spread := place.psnr)]
    x, means = [x for x, _ in shown], [spread.mean for _, spread in shown]
    axes.plot(x, means, color=colour, linewidth=2, marker="o", markersize=5, label=label)
    if any(len(spread.values) > 1 for _, spread in shown):
        low, high = [min(spread.values) for _, spread in shown], [max(spread.values) for _, spread in shown]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _mark_lost(axes: Axes, curves: dict[str, list[Place]]) -> None:
    """Mark on the axis where a trial did not come to its end."""
    lost = sorted({place.x for places in curves.values() for place in places if place.statuses})
    if lost:
        on_axis = axes.get_xaxis_transform()
        axes.plot(
            lost,
            [0.02] * len(lost),
            "x",
            color=RED,
            markersize=9,
            markeredgewidth=2,
            transform=on_axis,
            label="no result",
        )


def _seconds(axes: Axes, curves: dict[str, list[Place]], x: Sequence[float], reported: Sequence[float]) -> Axes:
    """Draw seconds on an axis of their own, a logarithmic one: our seconds are far fewer than the report's."""
    right = axes.twinx()
    for places in curves.values():
        shown = [(place.x, spread.mean) for place in places if (spread := place.seconds)]
        right.plot(
            [x for x, _ in shown],
            [seconds for _, seconds in shown],
            color=GREEN,
            linewidth=1.5,
            marker="^",
            markersize=5,
            label="layerkit: seconds",
        )
    if reported:
        right.plot(
            x,
            reported,
            color=GREEN,
            linewidth=1.2,
            linestyle="--",
            marker="^",
            markersize=5,
            fillstyle="none",
            label="report: seconds",
        )
    right.set_yscale("log")
    right.yaxis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_minor_formatter("")
    low, high = right.get_ylim()
    right.set_yticks([tick for tick in SECONDS if low <= tick <= high])
    right.set_ylabel("training in seconds, logarithmic", color=GREEN)
    right.tick_params(axis="y", colors=GREEN)
    right.spines["top"].set_visible(False)
    return right


def _reported(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(
        x, y, color=RED, linewidth=1.4, linestyle="--", marker="s", markersize=5, fillstyle="none", label="report"
    )


def _scale(factor: float) -> tuple[Callable[[ArrayLike], ArrayLike], Callable[[ArrayLike], ArrayLike]]:
    """Return the way from our axis to one whose numbers are ``factor`` times ours, and the way back."""
    return lambda values: np.asarray(values) * factor, lambda values: np.asarray(values) / factor


def _colours(count: int) -> list[str]:
    return [LINES[index % len(LINES)] for index in range(count)]


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> bytes:
    text = io.BytesIO()
    with rc_context({"svg.hashsalt": "layerkit"}):  # the same results draw the same bytes
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})  # type: ignore[no-untyped-call]  # matplotlib has no type here
    return text.getvalue()
