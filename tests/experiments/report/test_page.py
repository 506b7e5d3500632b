from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from layerkit import installed
from layerkit.data.sources import load_dataset
from layerkit.denoising.evaluation import Examples
from layerkit.drawing.montage import montage
from layerkit.experiments.examples import TILES, write_tiles
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import plan
from layerkit.experiments.report.claims import judged
from layerkit.experiments.report.page import write_page
from layerkit.experiments.report.section import Outcome, Section
from layerkit.experiments.store import Store

FILES = sorted((Path(__file__).parents[3] / "architectures" / "experiments").glob("*.json"))


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
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture
def written(tmp_path, tiny, data_key):
    """Return a function that writes the page of sections and returns its text."""

    def written(sections: list[Section], quick: bool = False) -> str:
        store = Store(tmp_path / "report")
        pictures = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        montage(tmp_path / "montage.png", pictures, pictures, pictures)
        for part in sections:
            for made in part.results:
                store.run(made.key).mkdir(parents=True, exist_ok=True)
                shutil.copy(tmp_path / "montage.png", store.run(made.key))
                write_tiles(store.run(made.key) / TILES, Examples(pictures, pictures, pictures))
        write_page(store, sections, load_dataset(tiny.data, (3, 8, 8), None, 0, 40), data_key, quick)
        return store.page.read_text()

    return written


@pytest.fixture
def report(result):
    """Return a function that gives the sections of the report's experiments, in full or in their quick form."""

    def report(values_of=lambda trial: {}, quick: bool = False) -> list[Section]:
        sections = []
        for path in FILES:
            file = load_experiment(path)
            trials = plan(file, installed(), quick)
            outcomes = [Outcome(trial, result(trial, **values_of(trial))) for trial in trials]
            sections.append(Section(file.experiment, outcomes, short=quick))
        return sections

    return report


def test_the_page_has_every_part_and_needs_nothing_else(tmp_path, written, report):
    text = written(report(quick=True), quick=True)
    page = Page(text)
    assert page.scripts == 0
    assert len(page.ids) == len(set(page.ids))
    for path in FILES:
        name = load_experiment(path).experiment.name
        assert name in page.ids and f"#{name}" in page.addresses
    pictures = [address for address in page.addresses if not address.startswith("#")]
    assert len(pictures) == 2 * 3
    assert all(address.startswith("data:image/png;base64,") for address in pictures)
    assert text.count("<svg") == 4
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    widths = [len(row) for row in page.rows]
    assert min(widths) > 2
    for number in ("22.81", "22.70", "21.13", "528", "0.0057", "27,019"):
        assert any(number in row for row in page.rows), number
    for fact in (
        "quick form",
        "20.72 dB in the report",
        "noisy pairs an epoch",
        "an abacus",
        "layerkit 0.1.0",
        "seed 0",
        "1 x 1,234",
        "25.62",
    ):
        assert fact in text, fact
    figures = sorted(path.name for path in (tmp_path / "report" / "figures").iterdir())
    assert figures == ["batch-size.svg", "channels.svg", "examples.png", "learning-rate.svg", "loss.svg"]


def as_reported(trial) -> dict[str, object]:
    """Return a result that bears out what the report says."""
    channels, batch = trial.value_at("layers[0].out_channels") or 44, trial.value_at("training.batch_size")
    rate = trial.value_at("training.optimizer.lr")
    psnr = 21.0 + channels / 25 - abs(rate - 1) / 10 - batch / 25 + trial.seed / 1000
    return {"psnr": psnr, "seconds": (channels, channels)}


CLAIMS = {
    "The network of Table I reaches 22.81 dB": "holds: 0.21 dB less",
    "The training loss falls": "holds",
    "More channels give a better picture": "holds",
    "More channels take longer": "holds",
    "With 44 channels two epochs take less than 2 x 5 minutes": "holds",
    "The best learning rate is 4": "holds",
    "Larger mini-batches give a worse picture": "holds",
    "Denoised examples have 24.77 to 26.32 dB": "holds",
}


def verdicts(sections: list[Section]) -> dict[str, str]:
    return {claim.text: claim.verdict for section in sections for claim in judged(section)}


def test_the_report_s_claims_are_judged_by_the_results(report):
    assert verdicts(report(as_reported)) == CLAIMS
    assert verdicts(report(lambda trial: as_reported(trial) | {"psnr": -as_reported(trial)["psnr"]})) == CLAIMS | {
        "The network of Table I reaches 22.81 dB": "does not hold: 45.41 dB less",
        "More channels give a better picture": "does not hold",
        "The best learning rate is 4": "does not hold",
        "Larger mini-batches give a worse picture": "does not hold",
    }
    short = dict.fromkeys(CLAIMS, "trained too short to tell")
    assert verdicts(report(as_reported, quick=True)) == short | {"More channels take longer": "holds"}
    nothing = [Section(part.experiment, [Outcome(one.trial, None) for one in part.outcomes]) for part in report()]
    assert verdicts(nothing) == dict.fromkeys(CLAIMS, "not measured")


def test_the_page_begins_with_the_claims_then_the_network(written, report):
    text = written(report(as_reported))
    head, *rows = Page(text).rows
    assert head == ["claim", "report", "layerkit", "verdict"]
    assert {row[0]: row[3] for row in rows[: len(CLAIMS)]} == CLAIMS
    assert rows[len(CLAIMS)][:3] == ["report: layer", "channels", "function"]
    # Columns of words begin at the left, those of numbers end at the right.
    assert '<td class="text">rate 1 for all</td>' in text and "<td>27,019</td>" in text
    assert "Picture 2 gets worse, by up to 0.75 dB" in text and '<td class="worse">' in text


def test_no_sentence_of_a_file_tells_a_result(report):
    # What came out is told by sentences that are made from the results.
    for section in report():
        assert not re.search(r"averaged over every|give a better picture|take longer|fall comes|do better",
                             section.experiment.description)  # fmt: skip


def test_the_page_says_what_is_missing_lost_and_left_out(written, section):
    def values_of(trial):
        return {"status": "diverged", "message": "try <less>"} if trial.value_at("training.batch_size") == 2 else None

    text = written([section(values_of), section(left_out="it needs pictures", name="other")])
    Page(text)
    assert "1 trial has no result yet." in text
    assert "training.batch_size = 2, seed 0: diverged (try &lt;less&gt;)" in text
    assert "training.batch_size = 4, seed 0: not trained" in text
    assert "Left out: it needs pictures." in text
    assert "quick form" not in text


def test_what_a_file_says_is_text_not_markup(written, section):
    text = written([section(title="<script>alert(1)</script>", description='"><img src=x>')])
    page = Page(text)
    assert page.scripts == 0
    assert "x" not in page.addresses
