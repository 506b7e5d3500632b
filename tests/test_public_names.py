from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Literal, get_origin

import pytest

import layerkit
from layerkit import builtin
from layerkit.contracts.kinds import KINDS, Kind
from layerkit.contracts.specs import Spec
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings

BUILT_IN = installed(PluginSettings(enabled=False))
PLUGINS = sorted((Path(__file__).parents[1] / "plugins").glob("*/**/*.py"))


@pytest.mark.parametrize("name", layerkit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(layerkit, name) is not None


def test_the_report_s_modules_are_public():
    modules = {"Module", "Conv2d", "NearestUpsampling", "Upsampling", "ReLU", "Sigmoid", "MSE", "Sequential", "SGD"}
    assert modules <= set(layerkit.__all__)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_namespace_of_a_kind_has_the_class_and_the_spec_of_every_built_in_component(kind: Kind):
    namespace = getattr(layerkit, kind.plural)
    components = BUILT_IN.of_kind(kind.name)
    assert components
    for component in components:
        name = component.spec.__name__.removesuffix("Spec")
        assert getattr(namespace, f"{name}Spec") is component.spec
        assert getattr(namespace, name).__module__ == component.spec.__module__


def test_every_spec_in_a_file_of_the_built_in_package_is_registered():
    modules = [module.name for module in pkgutil.walk_packages(builtin.__path__, "layerkit.builtin.")]
    written = {
        thing
        for module in map(importlib.import_module, modules)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Spec) and thing.__module__ == module.__name__
    }
    named = {spec for spec in written if get_origin(spec.model_fields["type"].annotation) is Literal}
    assert named == {component.spec for component in BUILT_IN.components.values()}


@pytest.mark.parametrize("name", layerkit.contracts.__all__)
def test_what_a_plugin_author_needs_is_in_one_place(name):
    assert getattr(layerkit, name) is getattr(layerkit.contracts, name)


@pytest.mark.parametrize(
    "program",
    [
        "import layerkit; layerkit.layers.Linear",
        "from layerkit import layers; layers.Linear",
        "import layerkit; layerkit.contracts.LayerSpec",
        "import layerkit; layerkit.errors.ShapeError",
        "import layerkit; layerkit.testing.parametrize_with_checks",
    ],
)
def test_the_namespaces_are_there_after_a_bare_import(program, python):
    python("-c", program, check=True)


def imported_from_layerkit(program: str) -> list[tuple[str, str]]:
    """Return the (module, name) of every import from layerkit in a program."""
    found = []
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "layerkit":
            found += [(node.module, alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "layerkit"]
    return found


def is_public(module: str, name: str) -> bool:
    """Return whether layerkit promises ``name`` of ``module``, which is layerkit itself or one of its namespaces."""
    home: object = layerkit
    for step in module.split(".")[1:]:
        if step not in layerkit.__all__ or not isinstance(getattr(home, step), ModuleType):
            return False
        home = getattr(home, step)
    return not name or (
        not name.startswith("_") and hasattr(home, name) and name in getattr(home, "__all__", dir(home))
    )


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: "/".join(path.parts[-3:]))
def test_plugins_import_only_public_names(path):
    private = [imported for imported in imported_from_layerkit(path.read_text()) if not is_public(*imported)]
    assert private == []


@pytest.mark.parametrize(
    ("line", "public"),
    [
        ("from layerkit import LayerSpec, layers", True),
        ("from layerkit.contracts import LayerSpec", True),
        ("from layerkit.testing import parametrize_with_checks", True),
        ("import layerkit", True),
        ("from layerkit import builtin", False),
        ("from layerkit.builtin.layers.relu import ReLU", False),
        ("from layerkit.contracts.specs import LayerSpec", False),
        ("from layerkit.contracts import specs", False),
        ("import layerkit.arithmetic.sums", False),
    ],
)
def test_what_counts_as_a_public_import(line, public):
    assert all(is_public(*imported) for imported in imported_from_layerkit(line)) is public


def test_importing_layerkit_loads_no_torch_and_no_plugin():
    program = "import sys, layerkit; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "pydantic", "pluggy", "layerkit.builtin"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Conv3d"):
        _ = layerkit.Conv3d
