"""What the loss and the data need of a network is said before anything starts, at its place and with the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from layerkit.checkpoints.checkpoint import load, save
from layerkit.errors import DataError, SpecError
from layerkit.spec.architecture import Architecture, build
from layerkit.spec.loading import load_architecture, read_architecture

CONVOLUTION = {"type": "conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1}


def tree(*layers: dict[str, Any], channels: int = 3, **training: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "net",
        "input": {"channels": channels, "height": 8, "width": 8},
        "layers": list(layers),
        "training": {
            "loss": {"type": "mse"},
            "optimizer": {"type": "sgd", "lr": 1},
            "noise": {"type": "gaussian", "sigma": 25},
            **training,
        },
    }


def read(tree: dict[str, Any], **options: Any) -> Architecture:
    return read_architecture(json.dumps(tree, indent=1), "net.json", **options)


@pytest.mark.parametrize(
    ("given", "path", "sentence"),
    [
        (
            tree(CONVOLUTION, {"type": "sigmoid"}, channels=1),
            "layers[1]",
            "layers[1] (sigmoid): the network's output is 3x8x8 and its input 1x8x8 (channels x height x width), and "
            "the loss compares the output with pictures of the input's size; "
            'write "out_channels": 1 in layers[0], or "channels": 3 in "input"',
        ),
        (
            tree({"type": "sequential", "layers": [CONVOLUTION | {"out_channels": 2}]}),
            "layers[0]",
            'write "out_channels": 3 in layers[0].layers[0], or "channels": 2 in "input"',
        ),
        (
            tree({"type": "skip", "layers": [{"type": "relu"}]}),
            "layers[0]",
            "layers[0] (skip): the network's output is 6x8x8 and its input 3x8x8 (channels x height x width), and the "
            "loss compares the output with pictures of the input's size; "
            'write "out_channels": 3 in a last convolution, or "channels": 6 in "input"',
        ),
        (tree(CONVOLUTION | {"padding": 0}), "layers[0]", "output is 3x6x6 and its input 3x8x8"),
        (tree(CONVOLUTION | {"stride": 2}), "layers[0]", "add padding for what kernels cut off, and upsampling for"),
        (tree(CONVOLUTION | {"padding": 2}), "layers[0]", "upsample less, or pad less"),
        (tree({"type": "flatten"}), "layers[0]", "output is 192 and its input 3x8x8"),
        (tree({"type": "flatten"}), "layers[0]", "let the last layer return pictures"),
        (
            tree(CONVOLUTION, noise={"type": "bernoulli", "probability": 0.5}),
            "training.noise",
            'training.noise (bernoulli): marks some target values as unknown, but the loss "mse" cannot leave them '
            'out; take {"type": "masked", "loss": {"type": "mse"}} as "loss"',
        ),
    ],
)
def test_each_has_its_place_and_its_remedy(given: dict[str, Any], path: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(given)
    (problem,) = caught.value.problems
    assert sentence in str(problem)
    assert problem.source == "net.json" and problem.line and problem.to_dict()["path"] == path


def test_all_are_told_together() -> None:
    with pytest.raises(SpecError) as caught:
        read(tree(CONVOLUTION | {"padding": 0}, noise={"type": "bernoulli", "probability": 0.5}))
    assert [problem.path for problem in caught.value.problems] == [("layers", 0), ("training", "noise")]


def test_what_the_remedy_says_is_one() -> None:
    wrong = tree(CONVOLUTION, channels=1)
    with pytest.raises(SpecError, match='"out_channels": 1 in layers'):
        read(wrong)
    assert read(wrong, overrides={"layers[0].out_channels": 1}).training
    assert read(wrong, overrides={"input.channels": 3}).training
    masked = {"type": "masked", "loss": {"type": "mse"}}
    assert read(tree(CONVOLUTION, noise={"type": "bernoulli", "probability": 0.5}, loss=masked)).training


def test_an_override_is_checked_too() -> None:
    assert read(tree(CONVOLUTION)).training
    with pytest.raises(SpecError, match=r"net\.json:10:3: layers\[0\] \(conv2d\): the network's output is 3x8x8"):
        read(tree(CONVOLUTION), overrides={"input.channels": 1})


def test_a_network_without_training_may_give_anything() -> None:
    classifier = tree({"type": "flatten"}, {"type": "linear", "out_features": 10})
    with pytest.raises(SpecError, match="the network's output is 10 "):
        read(classifier)
    del classifier["training"]
    assert read(classifier).training is None


def test_pictures_have_one_channel_or_three(tmp_path: Path) -> None:
    two = tree(CONVOLUTION | {"out_channels": 2}, channels=2)
    (tmp_path / "pairs.npz").touch()
    assert read(two).training and read(two, data=tmp_path / "pairs.npz").training
    with pytest.raises(SpecError, match=r'net\.json:5:3: input\.channels: .* and the data "photos" are pictures'):
        read(two, data="photos")
    file = tmp_path / "net.json"
    file.write_text(json.dumps(two))
    with pytest.raises(SpecError, match=r"pictures have 1 channel \(gray\) or 3 \(RGB\)"):
        load_architecture(file, data=tmp_path)
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        read(two, data="nowhere")


def test_a_checkpoint_keeps_training_that_does_not_agree_as_data(tmp_path: Path) -> None:
    classifier = read(tree(CONVOLUTION)).model_copy(
        update={"layers": read({**tree(CONVOLUTION | {"stride": 2}), "training": None}).layers}
    )
    save(tmp_path / "kept", build(classifier), classifier)
    architecture = load(tmp_path / "kept").architecture
    assert architecture.training is None
    assert json.loads(architecture.to_json())["training"] == json.loads(classifier.to_json())["training"]
    with pytest.raises(SpecError, match="the network's output is 3x4x4"):
        architecture.trained  # noqa: B018
