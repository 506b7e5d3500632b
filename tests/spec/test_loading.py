"""Whole architectures: what is read, what is refused, in which words, and what no text can do."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit.errors import SpecError
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings
from layerkit.spec.architecture import Architecture
from layerkit.spec.loading import load_architecture, read_architecture

LONGER = int(os.environ.get("LAYERKIT_FUZZ", "1"))
ARCHITECTURES = Path(__file__).parents[2] / "architectures"
BUILT_IN = installed(PluginSettings(enabled=False))

NET: dict[str, Any] = {
    "format": 1,
    "name": "net",
    "input": {"channels": 3, "height": 8, "width": 8},
    "layers": [
        {"type": "conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1},
        {"type": "sequential", "layers": [{"type": "relu"}, {"type": "conv2d", "out_channels": 3, "kernel_size": 1}]},
    ],
    "training": {
        "loss": {"type": "mse"},
        "optimizer": {"type": "sgd", "lr": 1},
        "noise": {"type": "gaussian", "sigma": [0, 50]},
    },
}


def changed(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return NET with one value replaced, or removed when the value is ``...``."""
    tree = here = copy.deepcopy(NET)
    for key in path[:-1]:
        here = here[key]
    if value is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return tree


def read(tree: Any, **options: Any) -> Architecture:
    return read_architecture(json.dumps(tree, indent=1), "net.json", catalogue=BUILT_IN, **options)


def test_an_architecture_is_read_with_its_defaults() -> None:
    architecture = read(NET)
    assert architecture.input.shape == (3, 8, 8)
    assert architecture.layers[1].layers[1].out_channels == 3
    assert architecture.training.batch_size == 4
    assert architecture.training.optimizer.lr == 1.0
    assert architecture.training.noise.sigma == (0.0, 50.0)


@pytest.mark.parametrize("tree", [NET, changed(("training",), ...), changed(("$schema",), "./schema.json")])
def test_what_is_written_is_read_as_the_same(tree: Any) -> None:
    architecture = read(tree)
    assert read_architecture(architecture.to_json(), "again", catalogue=BUILT_IN) == architecture


@pytest.mark.parametrize(
    "path",
    sorted(path for path in ARCHITECTURES.glob("*.json") if not path.name.endswith(".schema.json")),
    ids=lambda path: path.name,
)
def test_the_architectures_of_the_repository(path: Path) -> None:
    architecture = load_architecture(path)
    assert load_architecture(architecture.to_json()) == architecture


# Where it comes from


def test_text_and_files_are_told_apart(tmp_path: Path) -> None:
    text = "\n " + json.dumps(NET)
    file = tmp_path / "net.json"
    file.write_text(text)
    assert load_architecture(text) == load_architecture(file) == load_architecture(str(file))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.json", "missing.json: cannot be read: there is no such file"),
        ("", "cannot be read: Is a directory"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("a\0b", "cannot be read: embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_architecture(f"{tmp_path}/{name}")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(SpecError, match=r"net.json:1: the text is not UTF-8"):
        load_architecture(tmp_path / "net.json")


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_bytes(b"{" + b" " * 1_000_000)
    with pytest.raises(SpecError, match=r"net.json: the text is too long"):
        load_architecture(tmp_path / "net.json")


# What is wrong with it

WRONG = [
    ((), 3, "net.json: expected an object {...} with a network, got 3"),
    (("name",), ..., "net.json:1:1: name: missing; add it"),
    (("format",), 2, "net.json:2:2: format: this layerkit reads format 1, got 2"),
    (("format",), True, "format: this layerkit reads format 1, got true"),
    (("format",), 1.0, "format: this layerkit reads format 1, got 1.0"),
    (("schema_",), "x", 'schema_: unknown field; did you mean "$schema"?'),
    (("layer",), [], 'layer: unknown field; did you mean "layers"?'),
    (("defin",), {}, 'defin: unknown field; did you mean "define"?'),
    (("layers",), [], "layers: expected at least 1 item, got []"),
    (("layers",), {"a": 1}, "layers: expected a list, got"),
    (("layers", 0), 3, 'layers[0]: expected an object such as {"type": "relu"}, got 3'),
    (("layers", 0), "relu", 'layers[0]: expected an object such as {"type": "relu"}'),
    (("training", "loss"), None, 'training.loss: expected an object such as {"type": "mse"}'),
    (("layers", 0, "type"), ..., 'layers[0].type: missing; say which layer this is, such as "avg_pool2d"'),
    (("layers", 0, "type"), 3, "layers[0].type: expected the name of a layer in quotes, such as"),
    (
        ("layers", 0, "type"),
        "con2d",
        'net.json:11:4: layers[0].type (con2d): unknown layer "con2d"; did you mean "conv2d"?',
    ),
    (("layers", 0, "type"), "Conv2D", 'unknown layer "Conv2D"; did you mean "conv2d"?'),
    (("layers", 0, "type"), "mse", 'layers[0].type (mse): unknown layer "mse"; it is the name of a loss'),
    (("layers", 0, "type"), "zzz\x1b[31m", 'layers[0].type: unknown layer "zzz\\u001b[31m"; known are avg_pool2d'),
    (("training", "optimizer", "type"), "sdg", 'unknown optimizer "sdg"; did you mean "sgd"?'),
    (
        ("layers", 0, "out_chanels"),
        4,
        'layers[0].out_chanels (conv2d): unknown field; did you mean "out_channels"?',
    ),
    (("layers", 0, "kernel_size"), "3", "layers[0].kernel_size (conv2d): expected a whole number from 1 to 1024"),
    (("layers", 0, "out_channels"), "4", 'expected a whole number, got "4"; write 4 without quotes'),
    (
        ("layers", 0, "out_channels"),
        10**12,
        "layers[0].out_channels (conv2d): expected at most 65536, got 1000000000000",
    ),
    (("layers", 0, "out_channels"), ..., "net.json:10:3: layers[0].out_channels (conv2d): missing; add it"),
    (
        ("layers", 1, "layers", 1, "kernel_size"),
        11,
        "layers[1].layers[1] (conv2d): kernel_size",
    ),
    (
        ("layers", 1, "layers", 1, "kernel_siz"),
        1,
        "layers[1].layers[1].kernel_siz (conv2d): unknown field; did you mean",
    ),
    (("layers", 1, "layers", 0, "slope"), 1, "layers[1].layers[0].slope (relu): unknown field; remove it"),
    (("input", "hight"), 8, 'input.hight: unknown field; did you mean "height"?'),
    (("input", "channels"), 0, "input.channels: expected at least 1, got 0"),
    (("training", "epoch"), 2, 'training.epoch: unknown field; did you mean "epochs"?'),
    (
        ("training", "noise", "sigma"),
        [50, 0],
        "training.noise.sigma (gaussian): expected a number from 0 to 255, or a range",
    ),
    (("requires",), {"layer": {"conv2d": "rm -rf /"}}, "requires.layer.conv2d: string should match pattern"),
    (("requires",), {"layers": {}}, "requires.layers: expected 'layer', 'loss', 'optimizer', 'noise' or 'schedule'"),
    (("define",), {"w": 1}, 'define.w: nothing uses "$w"; use it or remove it'),
    (("layers", 0, "out_channels"), "$w", 'layers[0].out_channels (conv2d): unknown constant "$w"; add it to "define"'),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=str)
def test_each_mistake_has_its_sentence(path: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        read(changed(path, value) if path else value)
    assert len(caught.value.problems) == 1


def test_mistakes_are_told_together_in_the_order_of_the_file() -> None:
    tree = changed(("layers", 1, "layers", 0, "type"), "rellu")
    tree["layers"][0]["stride"] = 0
    tree["layers"][0]["out_channels"] = "$wide"
    tree["training"]["optimizer"] = {"type": "sgd"}
    tree = {"training": tree.pop("training"), **tree}
    with pytest.raises(SpecError) as caught:
        read(tree)
    assert [str(problem).split(": ")[1] for problem in caught.value.problems] == [
        "training.optimizer.lr (sgd)",
        "layers[0].out_channels (conv2d)",
        "layers[0].stride (conv2d)",
        "layers[1].layers[0].type (rellu)",
    ]


def test_twenty_mistakes_are_told_and_the_others_counted() -> None:
    with pytest.raises(SpecError) as caught:
        read(changed(("layers",), [{"type": "reluu"}] * 100))
    assert len(caught.value.problems) == 21
    assert str(caught.value).endswith("net.json: and 80 more mistakes, which are not shown")


@pytest.mark.parametrize("depth", [1, 15, 32])
def test_layers_nest_as_deep_as_the_text_may(depth: int) -> None:
    layer: dict[str, Any] = {"type": "relu"}
    for _ in range(depth):
        layer = {"type": "sequential", "layers": [layer]}
    if depth < 15:
        assert read(changed(("layers",), [layer]))
    elif depth == 32:
        with pytest.raises(SpecError, match="more than 32 levels"):
            read(changed(("layers",), [layer]))


# Shapes and costs


def test_a_shape_that_does_not_fit_is_told_at_its_layer() -> None:
    tree = changed(("layers", 1, "layers", 1, "kernel_size"), 11)
    with pytest.raises(SpecError, match=r"net.json:\d+:\d+: layers\[1\].layers\[1\] \(conv2d\): kernel_size"):
        read(tree)


def test_too_many_layers_are_refused_before_any_is_checked(at_most) -> None:
    read(changed(("layers",), [{"type": "relu"}]))  # whatever is made once
    inner = {"type": "sequential", "layers": [{"type": "unknown"}] * 5000}
    text = json.dumps(changed(("layers",), [inner] * 2))
    message = "net.json:1:.*: layers: with nested layers these are 10,002 layers; at most 10,000 are built"
    with at_most(700_000), pytest.raises(SpecError, match=message):
        read_architecture(text, "net.json")


def test_what_could_not_be_read_again_when_it_is_saved_is_refused() -> None:
    convolution = {"type": "conv2d", "out_channels": 3, "kernel_size": 1}
    message = (
        r"net.json: as it is saved, with every default written out: (more than 40,000 values|the text is too long)"
    )
    with pytest.raises(SpecError, match=message):
        read(changed(("layers",), [convolution] * 5000))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            changed(("layers", 0), {"type": "conv2d", "out_channels": 65536, "kernel_size": [1000, 8], "padding": 999}),
            "parameters",
        ),
        (
            changed(("input",), {"channels": 65536, "height": 65536, "width": 65536}),
            "input: one picture holds 281,474,",
        ),
        (changed(("layers", 0), {"type": "nearest_upsampling", "scale_factor": 64}), None),
        (
            changed(("layers",), [{"type": "nearest_upsampling", "scale_factor": 64}] * 3),
            "hold .* numbers, and at most",
        ),
        (
            changed(("layers",), [{"type": "repeat", "times": 1000, "layers": [{"type": "relu"}]}] * 11),
            "at most 10,000 are built",
        ),
    ],
)
def test_what_nobody_could_compute_is_refused(tree: Any, message: str | None) -> None:
    del tree["training"]  # only the network counts here
    if message is None:
        assert read(tree)
        return
    with pytest.raises(SpecError, match=message):
        read(tree)


# Overrides and constants


def test_an_override_replaces_a_value() -> None:
    assert read(NET, overrides={"training.optimizer.lr": 0.25}).training.optimizer.lr == 0.25


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"training.optimizer.lr": "fast"},
            'net.json with --set training.optimizer.lr="fast": training.optimizer.lr (sgd): expected a number',
        ),
        (
            {"layers[7].stride": 2},
            "net.json with --set layers[7].stride=2: layers[7].stride: there is nothing to replace",
        ),
        ({"name": float("inf")}, "--set name: Infinity is not a number"),
        ({"define.widht": 3}, "there is nothing to replace at this path"),
    ],
)
def test_a_wrong_override_is_told_as_such(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        read(NET, overrides=overrides)


def test_constants_are_expanded_and_not_kept() -> None:
    tree = changed(("layers", 0, "out_channels"), "$width") | {"define": {"width": 6}}
    architecture = read(tree)
    assert architecture.layers[0].out_channels == 6
    assert "define" not in architecture.to_json()
    assert read(tree, overrides={"define.width": 9}).layers[0].out_channels == 9


def test_a_constant_whose_value_does_not_fit_is_named() -> None:
    tree = changed(("layers", 0, "out_channels"), "$width") | {"define": {"width": 0}}
    with pytest.raises(
        SpecError, match=r"out_channels \(conv2d\): expected at least 1, got 0 \(from the constant \"width\"\)"
    ):
        read(tree)


def test_a_misspelt_constant_on_the_command_line_is_no_silence() -> None:
    tree = changed(("layers", 0, "out_channels"), "$width") | {"define": {"width": 6}}
    with pytest.raises(SpecError, match=r'with --set define.widht=9: define.widht: nothing uses "\$widht"'):
        read(tree, overrides={"define.widht": 9})


# Who provided what


def test_a_missing_component_says_who_provided_it() -> None:
    tree = changed(("layers", 0), {"type": "warp"})
    tree["requires"] = {"layer": {"warp": "layerkit-warps==0.1.0"}}
    message = (
        'unknown layer "warp"; it was provided by layerkit-warps 0.1.0 when this was saved; '
        'pip install "layerkit-warps==0.1.0"'
    )
    with pytest.raises(SpecError, match=re.escape(message)):
        read(tree)


@pytest.mark.parametrize(
    "package",
    ["evil; rm -rf /", 'x==1"; rm', "a==1 b", "$(x)==1", "https://x==1", "-r x==1", "a" * 300 + "==1", "a>=1", 3],
)
def test_a_package_that_is_none_is_never_repeated_as_advice(package: Any) -> None:
    tree = changed(("layers", 0), {"type": "warp"}) | {"requires": {"layer": {"warp": package}}}
    with pytest.raises(SpecError) as caught:
        read(tree)
    assert "pip install" not in str(caught.value)


# What no text can do


@st.composite
def mutations(draw: Any) -> Any:
    """NET with something replaced, removed, doubled or added, a few times over."""
    tree = copy.deepcopy(NET)
    values = st.sampled_from(
        [None, True, 0, -1, 1.5, 10**12, 10**400, 1e308, "", "3", "$w", "relu", [], [1, 2], [[]], {}, {"type": "relu"}]
    )
    for _ in range(draw(st.integers(1, 3))):
        here, key = None, None
        inner: Any = tree
        while isinstance(inner, dict | list) and inner and (here is None or draw(st.booleans())):
            here = inner
            key = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            inner = here[key]
        if here is None:
            continue
        action = draw(st.sampled_from(["replace", "remove", "add", "copy"]))
        if action == "remove":
            del here[key]
        elif action == "copy":
            here[key] = copy.deepcopy(tree)
        elif action == "add" and isinstance(here, dict):
            here[draw(st.text(max_size=3) | st.sampled_from(["type", "layers", "define", "requires", "$schema"]))] = (
                copy.deepcopy(draw(values))
            )
        else:
            here[key] = copy.deepcopy(draw(values))
    return tree


@given(mutations())
@settings(max_examples=600 * LONGER)
def test_any_architecture_is_read_or_refused(tree: Any) -> None:
    try:
        architecture = read_architecture(json.dumps(tree), "net.json", catalogue=BUILT_IN)
    except SpecError as error:
        assert 1 <= len(error.problems) <= 21
        assert all(problem.message and problem.source == "net.json" for problem in error.problems)
    else:
        assert read_architecture(architecture.to_json(), "again", catalogue=BUILT_IN) == architecture


@given(st.data())
@settings(max_examples=300 * LONGER)
def test_any_text_near_an_architecture_is_read_or_refused(data: st.DataObject) -> None:
    text = json.dumps(NET)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    text = text[:start] + data.draw(st.text('{}[]",:09eE.-+"\\ \n$', max_size=4)) + text[end:]
    try:
        read_architecture(text, "net.json", catalogue=BUILT_IN)
    except SpecError as error:
        assert error.problems


@pytest.mark.parametrize(
    ("noise", "loss"),
    [
        ({"type": "bernoulli", "probability": 0.5}, {"type": "masked", "loss": {"type": "l1"}}),
        ({"type": "gaussian", "sigma": 25}, {"type": "masked", "loss": {"type": "mse"}}),
    ],
)
def test_a_masked_loss_takes_every_noise(noise: Any, loss: Any) -> None:
    training = read(changed(("training",), NET["training"] | {"noise": noise, "loss": loss})).training
    assert (training.noise.name(), training.loss.loss.name()) == (noise["type"], loss["loss"]["type"])


def test_a_loss_that_is_wrong_itself_is_all_that_is_said() -> None:
    training = {"noise": {"type": "bernoulli", "probability": 0.5}, "loss": {"type": "msee"}}
    with pytest.raises(SpecError, match='unknown loss "msee"') as caught:
        read(changed(("training",), NET["training"] | training))
    assert len(caught.value.problems) == 1
