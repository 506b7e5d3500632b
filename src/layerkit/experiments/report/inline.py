"""Puts a figure's SVG into the page, in the page's colours, which have a light and a dark theme."""

from __future__ import annotations

import re

from markupsafe import Markup

from layerkit.drawing.style import BLUE, GRID, INK, RED
from layerkit.experiments.report.charts import GREEN, PURPLE

COLOURS = {
    INK: "currentColor",
    GRID: "var(--line)",
    BLUE: "var(--blue)",
    RED: "var(--red)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    "#ffffff": "none",
}
"""The page's variable for each colour of the figures; their white background is left out."""
OUTSIDE = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
"""The parts of an SVG file that a page does not need: metadata and comments."""
NAMES = re.compile(r'\b(id="|href="#|url\(#)')
START = re.compile(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>')


def inline(svg: bytes, name: str, title: str) -> Markup:
    """Return the element of an SVG file, which scales with the page.

    Args:
        svg: a figure of :mod:`layerkit.experiments.report.charts`, in which letters are paths.
        name: the name of the figure; all ids inside begin with it, so that a page may have several figures.
        title: a description of the figure, for screen readers.
    """
    text = OUTSIDE.sub("", svg.decode())
    text = NAMES.sub(rf"\1{name}-", text)
    text = re.sub("|".join(COLOURS), lambda found: COLOURS[found[0]], text)
    start = START.match(text)
    assert start, "an SVG file begins with its size"
    return Markup('<svg {} role="img" aria-label="{}">').format(Markup(start[1]), title) + Markup(text[start.end() :])
