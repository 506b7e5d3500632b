"""The measurements as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.steps import OWN, PRODUCTS, RIVALS
from layerkit.denoising.metrics import METRICS


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, padded to be read as it is."""
    rows = [list(headers), *map(list, rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headers))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|", *lines[1:]])


def steps_table(rows: list[dict[str, Any]]) -> str:
    """Return the training steps, a row each, in milliseconds."""
    names = [name for name in (OWN, *RIVALS) if any(name in row["milliseconds"] for row in rows)]
    headers = [
        "network",
        "batch",
        "threads",
        *names,
        "to fastest",
        "to default",
        PRODUCTS,
        "share",
        "GFLOP/s",
        "small op, us",
    ]
    lines = [
        [
            row["network"],
            str(row["batch"]),
            str(row["threads"]),
            *(milliseconds(row["milliseconds"].get(name)) for name in names),
            f"{row['ratio_to_fastest']:.2f}x",
            f"{row['ratio_to_default']:.2f}x",
            milliseconds(row["milliseconds"][PRODUCTS]),
            f"{row['products_share']:.0%}",
            f"{row['products_gflops']:.0f}",
            f"{row['small_microseconds']:.1f}",
        ]
        for row in rows
    ]
    missing = {name: why for row in rows for name, why in row["unavailable"].items()}
    notes = [f"{name}: {why}" for name, why in missing.items()]
    return "\n".join([table(headers, lines), "", *notes])


def sizes_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ["side", "ms a step of 4", "ns a pixel"],
        ([str(row["side"]), milliseconds(row["milliseconds"]), f"{row['nanoseconds_a_pixel']:.0f}"] for row in rows),
    )


def pictures_table(rows: list[dict[str, Any]]) -> str:
    """Return one picture through each candidate, a row each, in milliseconds."""
    names = list(rows[0]["milliseconds"])
    lines = (
        [
            row["network"],
            row["picture"],
            str(row["threads"]),
            *(milliseconds(row["milliseconds"][name]) for name in names),
            f"{row['ratio_to_onnxruntime']:.2f}x",
            f"{row['ratio_to_channels_last']:.2f}x",
        ]
        for row in rows
    )
    return table(["network", "picture", "threads", *names, "to onnxruntime", "to channels-last"], lines)


def training_memory_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ["network", "batch", "who", "peak MiB", "growth over steps, MiB"],
        (
            [
                row["network"],
                str(row["batch"]),
                row["who"],
                f"{row['peak_mebibytes']:.0f}",
                f"{row['growth_mebibytes']:.1f}",
            ]
            for row in rows
        ),
    )


def inference_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ["network", "picture", "threads", "who", "seconds", "peak MiB"],
        (
            [
                row["network"],
                row["picture"],
                str(row["threads"]),
                row["who"],
                f"{row['seconds']:.2f}",
                f"{row['peak_mebibytes']:.0f}",
            ]
            for row in rows
        ),
    )


def twin_table(rows: list[dict[str, Any]]) -> str:
    return table(
        ["who", "pairs", "seconds in steps", "last loss", *(metric.label for metric in METRICS)],
        (
            [
                row["who"],
                f"{row['pairs']:,}",
                f"{row['seconds']:.1f}",
                "-" if row["loss"] is None else f"{row['loss']:.5f}",
                *(metric.text(row["quality"][metric.name]) for metric in METRICS),
            ]
            for row in rows
        ),
    )


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"
