from __future__ import annotations

from pathlib import Path

import pytest

from layerkit import installed
from layerkit.experiments.loading import load_experiment
from layerkit.experiments.plan import plan
from layerkit.experiments.report.findings import findings
from layerkit.experiments.report.layers import layers_table
from layerkit.experiments.report.section import Outcome, Section

FOLDER = Path(__file__).parents[3] / "architectures" / "experiments"


@pytest.fixture
def table1() -> Section:
    file = load_experiment(FOLDER / "0-table1.json")
    return Section(file.experiment, [Outcome(trial, None) for trial in plan(file, installed())])


def test_table_1_stands_beside_the_layers_of_the_spec(table1):
    table = layers_table(table1)
    assert table.rows[:3] == (
        ("Input", "3", "", "input", "3", "", "", "3x32x32"),
        ("Conv2d", "44", "Convolution 2×2",  # noqa: RUF001
         "conv2d", "44", "kernel_size=2, stride=2", "572", "44x16x16"),
        ("ReLU", "", "", "relu", "44", "", "", "44x16x16"),
    )  # fmt: skip
    assert table.rows[7][3:] == ("upsampling", "3", "kernel_size=3, scale_factor=2, padding=1", "1,191", "3x32x32")
    assert table.rows[-1] == ("", "", "", "all", "", "", "27,019", "")
    assert [row[0].lower() for row in table.rows[:-1]] == [row[3] for row in table.rows[:-1]]
    assert findings(table1, []) == ["The network has 27,019 parameters, as the report's."]


def test_without_a_table_in_the_report_ours_stands_alone(section):
    table = layers_table(section(figure={"type": "layers"}))
    assert table.head[0] == "layerkit: layer"
    assert [row[0] for row in table.rows][:3] == ["input", "conv2d", "residual"]


def test_another_network_than_the_report_s_says_so(section):
    drawn = section(figure={"type": "layers"}, reported={"layers": [{"name": "Input", "channels": 3}]})
    assert findings(drawn, []) == ["The network has 117 parameters, where the report's has 27,019."]
    assert layers_table(drawn).rows[1][:4] == ("", "", "", "conv2d")
