"""Specs print what differs from their defaults, and not more than can be read."""

from __future__ import annotations

import pytest

from layerkit import load_architecture
from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.residual import ResidualSpec
from layerkit.contracts.printing import described, short
from layerkit.spec.architecture import Training


def test_a_spec_prints_what_differs_from_the_defaults():
    spec = Conv2dSpec(type="conv2d", out_channels=44, kernel_size=2, stride=2, padding=0)
    assert repr(spec) == str(spec) == "Conv2dSpec(out_channels=44, kernel_size=2, stride=2)"


def test_an_architecture_is_short_enough_to_read():
    for path in ("table1", "unet", "dncnn", "strong"):
        text = repr(load_architecture(f"architectures/{path}.json"))
        assert text.startswith("Architecture(") and len(text) < 1_000
    assert "optimizer=SGDSpec(lr=0.5)" in repr(load_architecture("architectures/unet.json").trained)
    assert isinstance(load_architecture("architectures/unet.json").trained, Training)


def test_deep_and_wide_specs_are_shortened():
    spec = ReLUSpec(type="relu")
    for _ in range(3_000):
        spec = ResidualSpec(type="residual", layers=(spec,) * 20)
    relus = "ResidualSpec(...), " * 12
    assert repr(spec.model_copy(update={"layers": (ReLUSpec(type="relu"),) * 20})) == (
        f"ResidualSpec(layers=({'ReLUSpec(), ' * 12}...))"
    )
    assert relus in repr(spec) and len(repr(spec)) < 5_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb\x1b[2J", r"'a\nb\x1b[2J'"),
        ("x" * 999, f"'{'x' * 27}...{'x' * 28}'"),
        ([1] * 99, f"[{'1, ' * 12}...]"),
    ],
)
def test_values_are_written_on_one_line_and_shortened(value, text):
    assert short(value) == text


def test_numbers_that_python_does_not_write():
    assert short(10**5000) == "a value of type int"


def test_what_something_consists_of():
    assert described("Box", {"inside": "ReLU()"}) == "Box(\n  inside: ReLU()\n)"
