from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from layerkit.environment import __version__
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.registry.discovery import PluginSettings
from layerkit.spec.architecture import Architecture
from layerkit.spec.loading import load_architecture
from layerkit.spec.requirements import readable_requirements, with_requirements

OWN = f"layerkit=={__version__}"


@pytest.fixture
def catalogue() -> Catalogue:
    return installed(PluginSettings(enabled=False))


@pytest.fixture
def architecture(catalogue: Catalogue) -> Architecture:
    tree = {
        "format": 1,
        "name": "net",
        "input": {"channels": 3, "height": 8, "width": 8},
        "layers": [
            {"type": "relu"},
            {"type": "sequential", "layers": [{"type": "residual", "layers": [{"type": "sigmoid"}]}]},
        ],
        "training": {"loss": {"type": "mse"}, "optimizer": {"type": "sgd", "lr": 1}, "noise": {"type": "pixelate"}},
    }
    return load_architecture(json.dumps(tree), catalogue=catalogue)


def test_every_component_at_any_depth_is_listed(architecture: Architecture, catalogue: Catalogue) -> None:
    assert with_requirements(architecture, catalogue).requires == {
        "layer": {"relu": OWN, "residual": OWN, "sequential": OWN, "sigmoid": OWN},
        "loss": {"mse": OWN},
        "noise": {"pixelate": OWN},
        "optimizer": {"sgd": OWN},
    }
    assert architecture.requires is None


def test_what_is_written_is_read_again(architecture: Architecture, catalogue: Catalogue) -> None:
    saved = with_requirements(architecture, catalogue)
    assert load_architecture(saved.to_json(), catalogue=catalogue) == saved


def test_a_package_without_a_version_is_left_out(architecture: Architecture, catalogue: Catalogue) -> None:
    found = dict(catalogue.components)
    found["layer", "relu"] = replace(found["layer", "relu"], distribution="unknown", version="?")
    requires = with_requirements(architecture, Catalogue(found, ())).requires
    assert "relu" not in requires["layer"]
    assert requires["layer"]["sigmoid"] == OWN


def test_what_is_out_of_date_is_replaced(architecture: Architecture, catalogue: Catalogue) -> None:
    old = architecture.model_copy(update={"requires": {"layer": {"gelu": "other==1"}}})
    assert "gelu" not in with_requirements(old, catalogue).requires["layer"]


def test_a_component_of_no_package_is_left_out(architecture: Architecture, catalogue: Catalogue) -> None:
    assert with_requirements(architecture, Catalogue({}, ())).requires == {}


@pytest.mark.parametrize("given", [None, 3, [], {"layer": {"a": "b"}}, {"layer": {"a": 3}}, {3: {}}, {"layers": {}}])
def test_what_is_not_readable_is_ignored(given: Any) -> None:
    assert readable_requirements(given) == {}


def test_what_is_readable() -> None:
    assert readable_requirements({"layer": {"a": "b==1"}}) == {"layer": {"a": "b==1"}}
