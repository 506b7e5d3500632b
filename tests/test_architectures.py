"""The architecture files that come with the project: every one is valid, in editors too, and trains."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch

from layerkit import Trainer, build, load_architecture
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings, discover
from layerkit.spec.schema import architecture_schema

FOLDER = Path(__file__).parents[1] / "architectures"
FILES = sorted(path for path in FOLDER.glob("*.json") if not path.name.endswith(".schema.json"))
OWN = {"layerkit", "layerkit-activations", "layerkit-normalization", "layerkit-optimizers"}


@pytest.fixture(scope="module")
def schema():
    return json.loads((FOLDER / "architecture.schema.json").read_text())


def test_the_schema_is_that_of_the_packages_in_this_project(schema):
    others = {plugin.distribution for plugin in discover(PluginSettings())} - OWN
    catalogue = installed(PluginSettings(without=frozenset(others)))
    remedy = "write it again: layerkit schema --output architectures/architecture.schema.json"
    assert schema == json.loads(json.dumps(architecture_schema(catalogue))), remedy


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_editor_takes_it(path, schema):
    tree = json.loads(path.read_text())
    assert tree["$schema"] == "./architecture.schema.json"
    jsonschema.Draft202012Validator(schema).validate(tree)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_trains(path):
    architecture = load_architecture(path)
    assert architecture.name == path.stem
    training = architecture.training
    network = build(architecture, training.seed)
    trainer = Trainer(network, training.loss.build(), training.optimizer.build(network.param()))
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, *architecture.input.shape, generator=generator) * 0.2 + 0.4
    noisy, target = (clean + torch.randn(clean.shape, generator=generator) * 0.05 for _ in range(2))
    losses = [trainer.step(noisy, target) for _ in range(30)]
    assert losses[-1] < losses[0]
