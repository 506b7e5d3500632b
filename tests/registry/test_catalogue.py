from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import ValidationError

from layerkit.builtin.layers.relu import ReLUSpec
from layerkit.builtin.layers.sequential import SequentialSpec
from layerkit.builtin.losses.mse import MSESpec
from layerkit.contracts.hookspecs import HOOKS
from layerkit.contracts.kinds import KINDS
from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, LossSpec, Shape
from layerkit.errors import PluginError
from layerkit.registry.catalogue import Catalogue, collect, installed
from layerkit.registry.discovery import Plugin, PluginSettings


class WarpSpec(LayerSpec):
    """Bends a picture.

    More of it.
    """

    example: ClassVar[dict[str, Any]] = {"by": 3}

    type: Literal["warp"]
    by: int = 1

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        raise NotImplementedError


class BoxSpec(WarpSpec):
    type: Literal["box"]
    size: tuple[int, int] = (1, 1)


class SquareSpec(LossSpec):
    """A loss of the name of a layer."""

    type: Literal["warp"]

    def build(self) -> None:
        raise NotImplementedError


def plugin(name: str, status: str = "loaded", reason: str = "", **hooks: list[type]) -> Plugin:
    functions = {f"layerkit_{hook}": lambda specs=specs: specs for hook, specs in hooks.items()}
    return Plugin(name, f"{name}-package", "1.0", name, status, reason, hooks=functions)


OWN = Plugin("builtin", "layerkit", "0.1.0", "layerkit.builtin", hooks={"layerkit_layers": lambda: (ReLUSpec,)})


def message(catalogue: Catalogue, kind: str, value: dict) -> str:
    """Return what the diagnosis makes of the error of a ``type``."""
    with pytest.raises(ValidationError) as caught:
        catalogue.spec_class(kind, value)
    (detail,) = caught.value.errors()
    assert detail["loc"] == ("type",)
    remedy = detail["ctx"].get("remedy")
    return f"{detail['msg']}; {remedy()}" if remedy else detail["msg"]


def test_there_is_a_hook_for_every_kind() -> None:
    specified = {name for name in vars(HOOKS) if name.startswith("layerkit_")}
    assert specified == {kind.hook for kind in KINDS.values()}


def test_components_are_found_by_kind_and_name() -> None:
    catalogue = collect([OWN, plugin("a", layers=[WarpSpec], losses=[SquareSpec, MSESpec])])
    assert catalogue.spec_class("layer", {"type": "warp"}) is WarpSpec
    assert catalogue.spec_class("loss", {"type": "warp", "x": 1}) is SquareSpec
    assert catalogue.names("layer") == ["relu", "warp"]
    assert [component.kind for component in catalogue.find("warp")] == ["layer", "loss"]
    assert catalogue.find("nothing") == []
    assert catalogue.plugins[1].components == (("layer", "warp"), ("loss", "warp"), ("loss", "mse"))


def test_a_component_knows_its_package_its_example_and_its_summary() -> None:
    component = collect([OWN, plugin("a", layers=[WarpSpec])]).components["layer", "warp"]
    assert (component.distribution, component.version) == ("a-package", "1.0")
    assert component.example == {"type": "warp", "by": 3}
    assert component.summary == "Bends a picture."


def test_the_tables_cannot_be_changed() -> None:
    catalogue = collect([OWN])
    with pytest.raises(TypeError):
        catalogue.components["layer", "other"] = None
    with pytest.raises(AttributeError):
        catalogue.plugins = ()


def test_a_plugin_is_taken_whole_or_not_at_all() -> None:
    catalogue = collect([OWN, plugin("a", layers=[WarpSpec, BoxSpec, ReLUSpec])])
    assert catalogue.names("layer") == ["relu"]
    (failure,) = catalogue.failures()
    assert failure.reason == (
        'the layer "relu" is already provided by layerkit 0.1.0; uninstall one of the two or leave it out'
    )
    assert failure.components == ()


def test_of_two_plugins_with_one_name_the_first_has_it() -> None:
    catalogue = collect([OWN, plugin("a", layers=[WarpSpec]), plugin("b", layers=[WarpSpec])])
    assert catalogue.components["layer", "warp"].distribution == "a-package"
    assert [failure.name for failure in catalogue.failures()] == ["b"]
    assert "already provided by a-package 1.0" in catalogue.failures()[0].reason


def test_an_installation_without_its_own_layers_is_damaged() -> None:
    broken = Plugin("builtin", "layerkit", "0.1.0", "layerkit.builtin", hooks={"layerkit_layers": lambda: None})
    with pytest.raises(PluginError, match=r"this installation of layerkit is damaged: .*must return a list"):
        collect([broken])


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("layer", {}, r'missing; say which layer this is, such as "box" or "relu"$'),
        ("layer", {"type": 3}, r'expected the name of a layer in quotes, such as "box" or "relu", got 3$'),
        ("loss", {"type": None}, r"expected the name of a loss in quotes, .*, got null$"),
        ("layer", {"type": "wrap"}, r'unknown layer "wrap"; did you mean "warp"\?'),
        ("layer", {"type": "RELU"}, r'unknown layer "RELU"; did you mean "relu"\?'),
        ("layer", {"type": "mse"}, r'unknown layer "mse"; it is the name of a loss'),
        ("loss", {"type": "qqq"}, r'unknown loss "qqq"; known are mse'),
        ("layer", {"type": "x\n"}, r'unknown layer "x\\n"; known are box, relu, warp'),
        ("layer", {"type": "q" * 10**5}, r'unknown layer "q{56}\.\.\.; known'),
    ],
)
def test_what_is_said_of_a_name_that_is_none(kind: str, value: dict, expected: str) -> None:
    said = message(collect([OWN, plugin("a", layers=[WarpSpec, BoxSpec], losses=[MSESpec])]), kind, value)
    assert re.match(expected, said), said


def test_plugins_that_are_not_loaded_are_named_with_their_reasons() -> None:
    plugins = [OWN, plugin("a", "failed", "it is broken"), plugin("b", "blocked", "left out"), plugin("c")]
    assert message(collect(plugins), "layer", {"type": "qqq"}) == (
        'unknown layer "qqq"; known are relu. Left out by the settings: b. '
        'Not loaded: plugin "a" of a-package 1.0 (it is broken)'
    )


def test_who_provided_a_component_when_the_spec_was_saved() -> None:
    catalogue = Catalogue(collect([OWN]).components, (), {"layer": {"warp": "a-package==1.0"}})
    assert message(catalogue, "layer", {"type": "warp"}) == (
        'unknown layer "warp"; it was provided by a-package 1.0 when this was saved; pip install "a-package==1.0"'
    )


def test_lists_are_taken_for_tuples_inside_any_spec() -> None:
    """A plugin's author cannot be asked to know that strict pydantic takes no list for a tuple."""
    catalogue = collect([OWN, plugin("a", layers=[BoxSpec])])
    held = {"type": "box", "size": [2, 3]}
    outer = SequentialSpec.model_validate({"type": "sequential", "layers": [held]}, context=catalogue)
    assert outer.layers[0].size == (2, 3)
    with pytest.raises(ValidationError, match="valid integer"):
        SequentialSpec.model_validate({"type": "sequential", "layers": [held | {"size": [2.0, 3]}]}, context=catalogue)


def test_the_environment_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = installed()
    monkeypatch.setenv("LAYERKIT_NO_PLUGINS", "1")
    assert installed() is installed(PluginSettings(enabled=False))
    monkeypatch.delenv("LAYERKIT_NO_PLUGINS")
    assert installed() is everything


def test_the_built_in_components_are_there() -> None:
    catalogue = installed(PluginSettings(enabled=False))
    assert {"conv2d", "relu", "sequential"} <= set(catalogue.names("layer"))
    assert {component.distribution for component in catalogue.components.values()} == {"layerkit"}
