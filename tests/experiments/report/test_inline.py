from __future__ import annotations

import re
import xml.etree.ElementTree as xml

from layerkit.experiments.report.charts import curve_chart
from layerkit.experiments.report.inline import inline


def test_a_figure_takes_the_page_s_colours_and_width(section):
    drawn = section(
        seeds=[0, 1],
        figure={"type": "curve", "x": "training.batch_size", "seconds": True, "report_factor": 4, "report_label": "a"},
        reported={"x": [8], "psnr": [20.0], "seconds": [10.0]},
    )
    text = inline(curve_chart(drawn), "sizes", 'A "title" & more')
    root = xml.fromstring(f'<div xmlns:xlink="x">{text}</div>')[0]
    assert set(root.attrib) == {"viewBox", "role", "aria-label"}
    assert root.attrib["aria-label"] == 'A "title" & more'
    assert not re.search(r"#[0-9a-f]{6}\b", text)  # no colour is its own
    assert "currentColor" in text and "var(--blue)" in text and "var(--red)" in text


def test_two_figures_on_a_page_do_not_share_names(section):
    first, second = (inline(curve_chart(section()), name, "") for name in ("one", "two"))
    names = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert names[0] and not names[0] & names[1]
    for text, known in zip((first, second), names, strict=True):
        used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
        assert {left or right for left, right in used} <= known
