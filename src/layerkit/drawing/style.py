"""Colours and sizes of all figures, and the function that writes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.disk import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DPI = 100
"""Pixels of a PNG file for each inch of a figure."""
INK, PALE_INK, GRID, BLUE, RED = "#222222", "#666666", "#d9d9d9", "#1f6fb4", "#c0392b"


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as a PNG file, atomically.

    It is drawn through matplotlib's objects and not through pyplot, whose current figure is global state.

    Raises:
        RunError: when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    png = io.BytesIO()
    FigureCanvasAgg(figure).print_png(png)  # type: ignore[no-untyped-call]  # matplotlib has no type here
    write_atomically(path, png.getvalue())
