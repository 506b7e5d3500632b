"""A figure's SVG as a part of a page, in whose colours it is drawn, by day and by night."""

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
"""What stands on a page for each of the colours that figures are drawn in; their white paper is left out."""
OUTSIDE = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
"""What a file has for readers of its own, or as a comment."""
NAMES = re.compile(r'\b(id="|href="#|url\(#)')
START = re.compile(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>')


def inline(svg: bytes, name: str, title: str) -> Markup:
    """Return the element of an SVG file, which scales with the page.

    Args:
        svg: as :mod:`layerkit.experiments.report.charts` draws it; letters are paths in it.
        name: of the figure; names inside it begin with it, so that several figures may stand on a page.
        title: what it shows, for those who do not see it.
    """
    text = OUTSIDE.sub("", svg.decode())
    text = NAMES.sub(rf"\1{name}-", text)
    text = re.sub("|".join(COLOURS), lambda found: COLOURS[found[0]], text)
    start = START.match(text)
    assert start, "an SVG file begins with its size"
    return Markup('<svg {} role="img" aria-label="{}">').format(Markup(start[1]), title) + Markup(text[start.end() :])
