"""Networks print themselves as people know it from torch, and as tables in notebooks."""

from __future__ import annotations

import copy
import json
import pickle
from html.parser import HTMLParser

import pytest
import torch
from torch import Tensor

from layerkit import Channels, Conv2d, Module, ReLU, Sequential, build, load_architecture
from layerkit.builtin.layers import Repeat, Residual
from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.contracts import tree

TABLE1 = """\
Sequential(                                     # 3x32x32 -> 3x32x32, 27,019 parameters
  (0): Conv2d(3, 44, kernel_size=2, stride=2)   # 44x16x16, 572 parameters
  (1): ReLU()                                   # 44x16x16
  (2): Conv2d(44, 44, kernel_size=2, stride=2)  # 44x8x8, 7,788 parameters
  (3): ReLU()                                   # 44x8x8
  (4): Upsampling(44, 44)                       # 44x16x16, 17,468 parameters
  (5): ReLU()                                   # 44x16x16
  (6): Upsampling(44, 3)                        # 3x32x32, 1,191 parameters
  (7): Sigmoid()                                # 3x32x32
)"""


def built(*layers: dict) -> Sequential:
    text = {"format": 1, "name": "n", "input": {"channels": 3, "height": 8, "width": 8}, "layers": layers}
    return build(load_architecture(json.dumps(text)))


def test_a_network_from_a_spec_knows_its_shapes():
    network = build(load_architecture("architectures/table1.json"))
    assert repr(network) == str(network) == TABLE1
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert repr(other) == TABLE1


def test_evaluation_and_training_leave_no_trace():
    network = build(load_architecture("architectures/table1.json"))
    for mode in (True, False):
        network.train(mode)(torch.rand(2, 3, 16, 16))
        assert repr(network) == TABLE1


def test_a_network_made_in_python_is_nested_and_has_no_shapes():
    network = Sequential(
        Repeat(ReLU(), Conv2d(3, 3, 1, bias=False), times=1), Residual(Conv2d(3, 3, (3, 1), padding=(1, 0)))
    )
    assert (
        repr(network)
        == """\
Sequential(                                                  # 39 parameters
  (0): Repeat(                                               # 9 parameters
    times=1
    (layers): Sequential(                                    # 9 parameters
      (0): ReLU()
      (1): Conv2d(3, 3, kernel_size=1, bias=False)           # 9 parameters
    )
  )
  (1): Residual(                                             # 30 parameters
    (layers): Sequential(                                    # 30 parameters
      (0): Conv2d(3, 3, kernel_size=(3, 1), padding=(1, 0))  # 30 parameters
    )
  )
)"""
    )


def test_a_line_that_is_longer_than_others_may_be_stands_out_alone():
    long = Conv2d(3, 3, kernel_size=(1, 1), stride=(1000, 1000), padding=(1, 0), bias=False)
    lines = repr(Sequential(long, ReLU(), Conv2d(3, 3, 1))).splitlines()
    assert [line.index("  # ") for line in lines if "#" in line] == [60, 88, 60]


def test_a_layer_alone_is_the_call_that_makes_it():
    assert repr([Conv2d(3, 4, 3), ReLU()]) == "[Conv2d(3, 4, kernel_size=3), ReLU()]"
    assert repr(Sequential()) == "Sequential()"


def test_what_modules_share_counts_once():
    layer = Conv2d(3, 3, 1)
    assert repr(Sequential(layer, ReLU(), layer)).splitlines()[0].endswith("  # 12 parameters")
    one, two = Conv2d(3, 3, 1), Conv2d(3, 3, 1)
    vars(two)["weight"] = one.weight
    assert repr(Sequential(one, two)).splitlines()[0].endswith("  # 15 parameters")


# Large ones


def test_of_many_layers_the_first_and_the_last_are_shown():
    network = Sequential(*(layer for _ in range(5_000) for layer in (Conv2d(1, 1, 1), ReLU())))
    lines = repr(network).splitlines()
    assert len(lines) == 103
    assert lines[0].split() == ["Sequential(", "#", "10,000", "parameters"]
    assert lines[80:83] == [
        "  (79): ReLU()",
        "  ... 9,900 more",
        f"{'  (9980): Conv2d(1, 1, kernel_size=1)':<37}  # 2 parameters",
    ]
    assert network._repr_html_().count("<tr>") == 103


def test_a_hundred_are_all_shown():
    assert "more" not in repr(Sequential(*[ReLU()] * 100)) and "... 1 more" in repr(Sequential(*[ReLU()] * 101))


@pytest.mark.parametrize("around", [Residual, Sequential])
def test_deep_ones_are_closed_where_there_is_no_more_room(around):
    network = Conv2d(3, 3, 1)
    for _ in range(500):
        network = around(network)
    lines = repr(network).splitlines()
    assert len(lines) == 2 * tree.MAX_DEPTH + 1
    assert lines[tree.MAX_DEPTH].split("  # ")[0].strip().endswith("(...)")
    assert lines[tree.MAX_DEPTH].endswith("  # 12 parameters")
    assert network._repr_html_().count("<tr>") == tree.MAX_DEPTH + 2


def test_what_is_wide_and_deep_shows_the_outer_layers():
    network = Sequential(*(Sequential(*(Sequential(ReLU(), ReLU()) for _ in range(20))) for _ in range(10)))
    lines = repr(network).splitlines()
    assert len(lines) <= tree.MAX_ROWS
    assert lines[1:4] == ["  (0): Sequential(", "    (0): Sequential(...)", "    (1): Sequential(...)"]
    wide = Sequential(*(Sequential(*[ReLU()] * 100) for _ in range(100)))
    assert repr(wide).splitlines()[1] == "  (0): Sequential(...)"


def test_a_closed_container_keeps_its_arguments(monkeypatch):
    monkeypatch.setattr(tree, "MAX_DEPTH", 1)
    assert repr(Sequential(Repeat(ReLU(), ReLU(), times=2))) == "Sequential(\n  (0): Repeat(times=2, ...)\n)"


def test_copies_of_a_spec():
    layers = [{"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}, {"type": "relu"}]
    lines = repr(built({"type": "repeat", "times": 999, "layers": layers})).splitlines()
    assert lines[0].endswith("# 3x8x8 -> 3x8x8, 83,916 parameters")
    assert lines[2] == "    times=999" and len(lines) == 108


# Strangers


class Scaled(Module):
    def __init__(self, channels: Channels, *, factor: float = 1.0, shift: Tensor | None = None) -> None:
        self.inner = ReLU()  # and no super().__init__()
        self.add_parameter("weight", torch.full((channels,), factor))

    def forward(self, x: Tensor) -> Tensor:
        return x

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output


class Named(Sequential):
    """Takes what its modules are called from elsewhere."""

    def children(self) -> dict[str, Module]:
        return {"<b>&": ReLU()}


class BrokenSpec(ReLUSpec):
    def output_shape(self, input_shape):
        raise KeyError("a mistake")


def test_a_stranger_s_module_needs_nothing():
    text = repr(Scaled(3, factor=2, shift=torch.ones(3)))
    assert text == "Scaled(  # 3 parameters\n  3, factor=2\n  (inner): ReLU()\n)"


def test_a_module_that_knows_the_one_around_it_is_no_end(at_most):
    inner = Scaled(3)
    network = inner.around = Sequential(inner)
    with at_most(100_000):
        assert repr(network).startswith("Sequential(") and "3 parameters" in network._repr_html_() + repr(network)


def test_a_module_that_is_not_ready_can_be_printed():
    assert repr(object.__new__(Conv2d)) == "Conv2d()"


def test_a_shape_that_a_stranger_cannot_tell_is_left_out():
    network = Sequential(BrokenSpec(type="relu").build((3, 8, 8), torch.Generator()))
    assert repr(network) == "Sequential(\n  (0): ReLU()\n)"


# In notebooks


class Cells(HTMLParser):
    """Reads the cells of a table, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        else:
            assert tag in ("table", "thead", "tbody", "code")

    def handle_data(self, data):
        if data.strip():
            self.rows[-1][-1] += data


def test_a_notebook_shows_a_table():
    network = built({"type": "conv2d", "out_channels": 1, "kernel_size": 3}, {"type": "relu"})
    assert Cells(network._repr_html_()).rows == [
        ["Name", "Layer", "Output", "Parameters"],
        ["", "Sequential()", "3x8x8 -> 1x6x6", "28"],
        ["0", "Conv2d(3, 1, kernel_size=3)", "1x6x6", "28"],
        ["1", "ReLU()", "1x6x6", ""],
    ]


def test_names_and_texts_are_escaped():
    class Told(Module):
        def __init__(self, text: str) -> None:
            super().__init__()

        def forward(self, x):
            return x

        def backward(self, grad_output):
            return grad_output

    html = Sequential(Named(), Told("<script>"))._repr_html_()
    assert [row[:2] for row in Cells(html).rows[2:]] == [
        ["0", "Named()"],
        ["<b>&", "ReLU()"],
        ["1", "Told('<script>')"],
    ]
    assert "<b>" not in html and "<script>" not in html


def test_a_network_in_a_few_words():
    assert tree.summary(Sequential(Conv2d(3, 4, 3), ReLU())) == "Sequential of 2 layers, 112 parameters"
    assert tree.summary(Scaled(1)) == "Scaled of 1 layer, 1 parameter"
