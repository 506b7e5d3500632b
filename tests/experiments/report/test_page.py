from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from layerkit import installed
from layerkit.data.sources import load_dataset
from layerkit.denoising.metrics import SECONDARY, SSIM
from layerkit.drawing.montage import montage
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import plan
from layerkit.experiments.report.charts import curve_chart, loss_chart
from layerkit.experiments.report.page import write_page
from layerkit.experiments.report.section import Outcome, Place, Section, Spread, averaged
from layerkit.experiments.report.tables import (
    NOTHING,
    curve_table,
    gap_table,
    loss_table,
    montage_table,
    quality_table,
)
from layerkit.experiments.results import EpochRecord, TrialResult
from layerkit.experiments.store import Store

FILES = sorted((Path(__file__).parents[3] / "architectures" / "experiments").glob("*.json"))
DATA = "what the data are"


def result(trial, psnr=22.5, **values) -> TrialResult:
    quality = {"psnr_mean": psnr, "psnr_of_mse": psnr - 1, "ssim": 0.75}
    given = {
        "key": trial.key(DATA),
        "status": "done",
        "architecture": trial.resolved(),
        "clean_targets": trial.clean_targets,
        "seed": trial.seed,
        "epochs": (EpochRecord(epoch=1, seconds=12.5, quality=quality),),
        "curve": tuple((1000.0 * point, 0.02 + 1 / (1 + point)) for point in range(1, 151)),
        "pictures": 6,
        "samples": 1234,
        "noisy": {"psnr_mean": 20.5, "psnr_of_mse": 19.5, "ssim": 0.7},
        "denoised": quality,
        "constant": 10.25,
        "examples": ((20.125, 25.5), (21.0, 26.25)),
        "packages": {"layerkit": "0.1.0"},
        "machine": {"processor": "an abacus", "threads": 1, "cores": 2, "system": "Linux", "python": "3.11"},
    }
    return TrialResult(**given | values)


@pytest.fixture
def section(experiment):
    def section(values_of=lambda trial: {}, left_out="", **changes) -> Section:
        file = load_experiment(experiment(**changes))
        trials = plan(file, installed())
        outcomes = [
            Outcome(trial, None if (values := values_of(trial)) is None else result(trial, **values))
            for trial in trials
        ]
        return Section(file.experiment, outcomes, left_out)

    return section


# Numbers


def test_a_curve_s_table_has_the_report_beside_ours_on_both_scales(section):
    drawn = section(
        lambda trial: {"psnr": 20.0 + trial.value_at("training.batch_size")},
        figure={"type": "curve", "x": "training.batch_size", "x_label": "size", "report_factor": 4, "seconds": True},
        reported={"x": [8, 40], "psnr": [21.5, 23.5], "seconds": [120, 160]},
    )
    table = curve_table(drawn)
    assert table.head == ("size", "report's scale", "report, PSNR in dB", "layerkit, PSNR in dB",
                          *(metric.heading for metric in SECONDARY),
                          "report, seconds", "layerkit, seconds")  # fmt: skip
    quality = ["0.750" if metric == SSIM else NOTHING for metric in SECONDARY]
    assert table.rows == (
        ("2", "8", "21.50", "22.00", *quality, "120", "12.5"),
        ("4", "16", NOTHING, "24.00", *quality, NOTHING, "12.5"),
    )


def test_seeds_are_one_place_with_a_mean_and_its_ends(section):
    drawn = section(lambda trial: {"psnr": 20.0 + trial.seed}, seeds=[0, 3])
    assert [row[2] for row in curve_table(drawn).rows] == ["21.50 (20.00 to 23.00)"] * 2
    assert Spread((1.0, 2.0)).mean == 1.5


def test_a_trial_without_a_result_says_why(section):
    def values_of(trial):
        size = trial.value_at("training.batch_size")
        return {2: {"status": "diverged", "message": "not finite"}, 4: {}, 8: None}[size]

    drawn = section(values_of, vary={"training.batch_size": [2, 4, 8]})
    assert [row[2] for row in curve_table(drawn).rows] == ["diverged", "22.50", "not trained"]
    assert Place(0, tuple(drawn.outcomes)).statuses == ("diverged", "not trained")
    assert [row[2] for row in quality_table(drawn, []).rows][-3:] == ["diverged", "22.50", "not trained"]


def test_the_loss_is_averaged_as_the_report_averages_it():
    curve = tuple((1000.0 * point, float(point)) for point in range(1, 31))
    assert [(point.pictures, point.loss) for point in averaged(curve)] == [
        (10_000, 5.5),
        (20_000, 15.5),
        (30_000, 25.5),
    ]
    assert len(averaged(curve[:29])) == 29  # too short for three means
    assert averaged(()) == []


def test_the_loss_s_table_has_the_report_s_scale(section):
    drawn = section(
        lambda trial: {"curve": tuple((1000.0 * point, 0.02) for point in range(1, 31))},
        vary=None,
        figure={"type": "loss", "report_factor": 0.25},
        reported={"x": [10_000, 50_000], "loss": [0.0057, 0.0046]},
    )
    assert loss_table(drawn).rows == (
        ("10,000", "0.0057", "0.0050", "0.0200"),
        ("30,000", "–", "0.0050", "0.0200"),  # noqa: RUF001
        ("50,000", "0.0046", "–", "–"),  # noqa: RUF001
    )


def test_the_gap_is_clean_minus_noisy_of_the_same_seed(section):
    drawn = section(
        lambda trial: {"psnr": 20.0 + 5 * trial.seed + (0.25 + trial.seed if trial.clean_targets else 0)},
        vary=None,
        variants=[{"name": "gaussian"}],
        targets=["noisy", "clean"],
        seeds=[0, 1],
        figure={"type": "gaps"},
    )
    assert gap_table(drawn).rows == (
        ("gaussian", "20.50", "22.50 (20.00 to 25.00)", "23.25 (20.25 to 26.25)", "0.75 (0.25 to 1.25)"),
    )


def test_the_montage_s_table(section):
    drawn = section(vary=None, figure={"type": "montage"}, reported={"psnr": [25.62]})
    assert montage_table(drawn).rows == (("1", "25.62", "20.12", "25.50"), ("2", "–", "21.00", "26.25"))  # noqa: RUF001


# Figures


def test_a_figure_without_results_is_none(section):
    assert curve_chart(section(lambda trial: None)) is None
    assert loss_chart(section(lambda trial: None, figure={"type": "loss"})) is None


def drawn_lines(chart, monkeypatch) -> dict[str, tuple[list[float], list[float]]]:
    from matplotlib.axes import Axes

    lines = {}
    plot = Axes.plot

    def remember(self, x, y, *args, **style):
        lines[style["label"]] = (list(x), list(y))
        return plot(self, x, y, *args, **style)

    monkeypatch.setattr(Axes, "plot", remember)
    assert chart().startswith(b"<?xml")
    return lines


def test_a_curve_shows_the_report_on_our_scale_and_marks_what_diverged(section, monkeypatch):
    drawn = section(
        lambda trial: {"status": "diverged"} if trial.value_at("training.batch_size") == 2 else {},
        figure={"type": "curve", "x": "training.batch_size", "report_factor": 4, "seconds": True},
        reported={"x": [8, 40], "psnr": [21.5, 23.5], "seconds": [120, 160]},
    )
    lines = drawn_lines(lambda: curve_chart(drawn), monkeypatch)
    assert lines["report"] == ([2, 10], [21.5, 23.5])
    assert lines["report: seconds"] == ([2, 10], [120, 160])
    assert lines["layerkit"] == ([4], [22.5])
    assert lines["layerkit: seconds"] == ([4], [12.5])
    assert lines["no result"][0] == [2]


def test_the_loss_is_drawn_on_the_report_s_scale(section, monkeypatch):
    drawn = section(
        lambda trial: {"curve": tuple((1000.0 * point, 0.02) for point in range(1, 31))},
        vary=None,
        figure={"type": "loss", "report_factor": 0.25},
        reported={"x": [10_000], "loss": [0.0057]},
    )
    lines = drawn_lines(lambda: loss_chart(drawn), monkeypatch)
    assert lines["layerkit"] == ([10_000, 20_000, 30_000], pytest.approx([0.005] * 3))
    assert lines["report"] == ([10_000], [0.0057])


def test_the_same_results_draw_the_same_picture(section):
    assert curve_chart(section()) == curve_chart(section())


# The page


class Page(HTMLParser):
    """What a page consists of: its balanced tags, addresses and texts."""

    EMPTY = ("meta", "img", "br", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.addresses, self.ids, self.scripts = [], [], [], 0
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.addresses += [values[name] for name in ("src", "href", "srcset", "action", "data") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        self.scripts += tag in ("script", "link", "iframe")
        if tag == "tr":
            self.rows.append([])
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def written(tmp_path, tiny, sections, quick=False) -> str:
    store = Store(tmp_path / "report")
    for part in sections:
        for made in part.results:
            pictures = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
            montage(store.run(made.key) / "montage.png", pictures, pictures, pictures)
    dataset = load_dataset(tiny.data, (3, 8, 8), None, 0, 40)
    write_page(store, sections, dataset, DATA, quick)
    return store.page.read_text()


def test_the_page_has_every_part_and_needs_nothing_else(tmp_path, tiny):
    sections = []
    for path in FILES:
        file = load_experiment(path)
        trials = plan(file, installed(), quick=True)
        sections.append(Section(file.experiment, [Outcome(trial, result(trial)) for trial in trials]))
    text = written(tmp_path, tiny, sections, quick=True)
    page = Page(text)
    assert page.scripts == 0
    assert len(page.ids) == len(set(page.ids))
    for path in FILES:
        name = load_experiment(path).experiment.name
        assert name in page.ids and f"#{name}" in page.addresses
    pictures = [address for address in page.addresses if not address.startswith("#")]
    assert len(pictures) == 5
    assert all(re.match(r"data:image/(svg\+xml|png);base64,", address) for address in pictures)
    assert not re.search(r"url\(|@import|https?://", text)
    widths = [len(row) for row in page.rows]
    assert min(widths) > 2
    for number in ("22.81", "25.62", "22.70", "20.74", "528", "0.0057"):
        assert any(number in row for row in page.rows), number
    for fact in (
        "quick form",
        "20.72 dB in the report",
        "noisy pairs an epoch",
        "an abacus",
        "layerkit 0.1.0",
        "seed 0",
        "1 x 1,234",
    ):
        assert fact in text, fact
    figures = sorted(path.name for path in (tmp_path / "report" / "figures").iterdir())
    assert figures == ["batch-size.svg", "channels.svg", "examples.png", "learning-rate.svg", "loss.svg"]


def test_the_page_says_what_is_missing_lost_and_left_out(tmp_path, tiny, section):
    def values_of(trial):
        return {"status": "diverged", "message": "try <less>"} if trial.value_at("training.batch_size") == 2 else None

    text = written(tmp_path, tiny, [section(values_of), section(left_out="it needs pictures", name="other")])
    Page(text)
    assert "1 trial has no result yet." in text
    assert "training.batch_size = 2, seed 0: diverged (try &lt;less&gt;)" in text
    assert "training.batch_size = 4, seed 0: not trained" in text
    assert "Left out: it needs pictures." in text
    assert "quick form" not in text


def test_what_a_file_says_is_text_not_markup(tmp_path, tiny, section):
    text = written(tmp_path, tiny, [section(title="<script>alert(1)</script>", description='"><img src=x>')])
    page = Page(text)
    assert page.scripts == 0
    assert "x" not in page.addresses
