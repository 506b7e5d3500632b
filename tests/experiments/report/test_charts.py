from __future__ import annotations

import pytest

from layerkit.experiments.report.charts import curve_chart, loss_chart


def test_a_figure_without_results_is_none(section):
    assert curve_chart(section(lambda trial: None)) is None
    assert loss_chart(section(lambda trial: None, figure={"type": "loss"})) is None


@pytest.fixture
def drawn_in(monkeypatch):
    """Return a function that draws a chart and gives the lines and bands of each panel, by their label."""
    from matplotlib.axes import Axes

    def drawn_in(chart):
        panels: dict[Axes, dict[str, object]] = {}
        plot, fill_between = Axes.plot, Axes.fill_between

        def line(self, x, y, *args, **style):
            panels.setdefault(self, {})[style["label"]] = (list(x), list(y))
            return plot(self, x, y, *args, **style)

        def band(self, x, low, high, **style):
            panels.setdefault(self, {})["band"] = (list(x), list(low), list(high))
            return fill_between(self, x, low, high, **style)

        with monkeypatch.context() as patch:
            patch.setattr(Axes, "plot", line)
            patch.setattr(Axes, "fill_between", band)
            assert chart().startswith(b"<?xml")
        return list(panels.values())

    return drawn_in


def test_a_curve_shows_the_report_on_our_scale_and_marks_what_diverged(section, drawn_in):
    drawn = section(
        lambda trial: {"status": "diverged"} if trial.value_at("training.batch_size") == 2 else {},
        figure={"type": "curve", "x": "training.batch_size", "report_factor": 4},
        reported={"x": [8, 40], "psnr": [21.5, 23.5]},
    )
    (lines,) = drawn_in(lambda: curve_chart(drawn))
    assert lines["report"] == ([2, 10], [21.5, 23.5])
    assert lines["layerkit"] == ([4], [22.5])
    assert lines["no result"][0] == [2]
    assert "band" not in lines


def test_seconds_have_a_panel_of_their_own(section, drawn_in):
    drawn = section(
        figure={"type": "curve", "x": "training.batch_size", "report_factor": 4, "seconds": True},
        reported={"x": [8, 40], "psnr": [21.5, 23.5], "seconds": [120, 160]},
    )
    quality, seconds = drawn_in(lambda: curve_chart(drawn))
    assert set(quality) == {"report", "layerkit"}
    assert seconds == {"layerkit, seconds": ([2, 4], [12.5, 12.5]), "report, seconds": ([2, 10], [120, 160])}


def test_several_seeds_are_a_band_around_their_mean(section, drawn_in):
    drawn = section(lambda trial: {"psnr": 20.0 + trial.seed}, seeds=[0, 1, 5])
    (lines,) = drawn_in(lambda: curve_chart(drawn))
    assert lines == {"layerkit": ([2, 4], [22.0, 22.0]), "band": ([2, 4], [20.0, 20.0], [25.0, 25.0])}


def test_the_loss_is_drawn_on_the_report_s_scale_as_far_as_it_was_trained(section, drawn_in):
    drawn = section(
        lambda trial: {"curve": tuple((1000.0 * point, 0.02) for point in range(1, 31))},
        vary=None,
        figure={"type": "loss", "report_factor": 0.25},
        reported={"x": [10_000, 150_000], "loss": [0.0057, 0.0045]},
    )
    (lines,) = drawn_in(lambda: loss_chart(drawn))
    assert lines["layerkit"] == ([10_000, 20_000, 30_000], pytest.approx([0.005] * 3))
    assert lines["report"] == ([10_000], [0.0057])


def test_the_same_results_draw_the_same_picture(section):
    assert curve_chart(section()) == curve_chart(section())


def test_a_label_is_taken_as_it_is(section):
    assert curve_chart(section(figure={"type": "curve", "x": "training.batch_size", "x_label": r"$\nothing$ & <b>"}))
