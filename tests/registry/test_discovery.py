"""Plugins as strangers might write them, sound and broken, really installed, one by one and all together.

A module beside its ``.dist-info`` folder on ``sys.path`` is all that importlib.metadata knows of an installed package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from layerkit.registry.catalogue import Catalogue, collect, installed
from layerkit.registry.discovery import PluginSettings, discover

SPEC = '''\
from typing import Literal

from pydantic import Field

from layerkit.contracts.specs import LayerSpec, LossSpec
from layerkit.contracts.hookspecs import hookimpl


class {cls}(LayerSpec):
    """Does nothing: y = x."""

    type: Literal["{name}"] = Field(description="The name of the layer.")

    def output_shape(self, input_shape):
        return input_shape

    def build(self, input_shape, generator):
        from layerkit.builtin.layers.sequential import Sequential

        return Sequential()


'''
HOOK = """\
@hookimpl
def layerkit_layers():
    return {result}
"""


def layer(name: str, cls: str = "MineSpec") -> str:
    """Return the source of a module with one layer."""
    return SPEC.format(name=name, cls=cls)


def sound(name: str) -> str:
    """Return the source of a plugin without a fault that provides the layer ``name``."""
    return layer(name) + HOOK.format(result="[MineSpec]")


@dataclass(frozen=True)
class Stranger:
    """A package: its module's source, its entry points, what it needs, and why it fails, as a pattern."""

    source: str
    reason: str = ""
    entry_points: str = "{name} = {module}"
    needs: str = "layerkit>=0.1"
    files: tuple[tuple[str, str], ...] = ()


def install(folder: Path, name: str, stranger: Stranger) -> None:
    """Put the package ``name`` into a folder, as ``pip install --target`` would."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(stranger.source)
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\nRequires-Dist: {stranger.needs}\n"
    points = stranger.entry_points.format(name=name, module=module)
    files = {"METADATA": metadata, "entry_points.txt": f"[layerkit]\n{points}\n"} | dict(stranger.files)
    for file, text in files.items():
        (info / file).write_text(text)


def returning(result: str, name: str = "mine") -> str:
    """Return the source of a plugin whose hook for layers returns an expression."""
    return layer(name) + HOOK.format(result=result)


def changed(old: str, new: str) -> str:
    """Return the source of a sound plugin with one thing changed."""
    source = sound("mine")
    assert source.count(old) == 1, old
    return source.replace(old, new)


TYPE_FIELD = 'type: Literal["mine"] = Field(description="The name of the layer.")'

BROKEN = {
    "import-error": Stranger(
        "import nowhere_to_be_found", r"importing import_error failed: ModuleNotFoundError: No module"
    ),
    "syntax-error": Stranger("def broken(:", r"importing syntax_error failed: SyntaxError: "),
    "system-exit": Stranger(
        "import sys\nsys.exit(3)", r"importing system_exit failed: SystemExit: 3 \(system_exit.py:2\)"
    ),
    "own-exit": Stranger(
        "class Stop(BaseException): pass\nraise Stop('enough')",
        r"importing own_exit failed: Stop: enough \(own_exit.py:2\)",
    ),
    "generator-exit": Stranger("raise GeneratorExit", r"importing generator_exit failed: GeneratorExit"),
    "wordless-error": Stranger(
        "class Bad(Exception):\n    def __str__(self): raise ValueError\nraise Bad",
        r"importing wordless_error failed: Bad",
    ),
    "two-lines-error": Stranger("raise ValueError('one\\n\\x1b[31mtwo')", r"failed: ValueError: one \?\[31mtwo \("),
    "endless-import": Stranger("def f(): f()\nf()", r"importing endless_import failed: RecursionError"),
    "missing-attribute": Stranger(
        "x = 1", r"importing missing_attribute:plugin failed: AttributeError", "{name} = {module}:plugin"
    ),
    "no-module": Stranger("", r"importing elsewhere failed: ModuleNotFoundError", "{name} = elsewhere"),
    "no-reference": Stranger("", r"importing not a module! failed", "{name} = not a module!"),
    "no-hooks": Stranger("x = 1", r"no_hooks has no function marked with @layerkit.hookimpl"),
    "is-none": Stranger("plugin = None", r"is_none:plugin has no function marked", "{name} = {module}:plugin"),
    "is-number": Stranger("plugin = 3", r"is_number:plugin has no function marked", "{name} = {module}:plugin"),
    "returns-none": Stranger(returning("None"), r"layerkit_layers must return a list of Spec classes, not NoneType"),
    "returns-text": Stranger(returning("'mine'"), r"layerkit_layers must return a list of Spec classes, not str"),
    "returns-dict": Stranger(returning("{'mine': MineSpec}"), r"must return a list of Spec classes, not dict"),
    "returns-generator": Stranger(
        returning("(c for c in [MineSpec])"), r"must return a list of Spec classes, not generator"
    ),
    "returns-class": Stranger(returning("MineSpec"), r"must return a list of Spec classes, not "),
    "returns-instance": Stranger(
        returning("[MineSpec(type='mine')]"),
        r"must return classes derived from layerkit.LayerSpec, not MineSpec\(\)",
    ),
    "returns-other": Stranger(returning("[int]"), r"must return classes derived from layerkit.LayerSpec, not int"),
    "wrong-kind": Stranger(
        "from layerkit.builtin.losses.mse import MSESpec\nfrom layerkit.contracts.hookspecs import hookimpl\n"
        + HOOK.format(result="[MSESpec]"),
        r"layerkit_layers must return classes derived from layerkit.LayerSpec, not MSESpec",
    ),
    "twice-the-same": Stranger(
        returning("[MineSpec, MineSpec]"), r'layerkit_layers returns two components named "mine"'
    ),
    "hook-raises": Stranger(
        returning("1 / 0"), r"layerkit_layers failed: ZeroDivisionError: .* \(hook_raises.py:\d+\)"
    ),
    "hook-exits": Stranger(returning("exit(1)"), r"layerkit_layers failed: SystemExit: 1"),
    "wrong-signature": Stranger(
        sound("mine").replace("layerkit_layers()", "layerkit_layers(catalogue)"),
        r"its hooks are not valid: PluginValidationError: .*Argument\(s\) {'catalogue'} are declared",
    ),
    "half-valid": Stranger(
        sound("mine") + "@hookimpl\ndef layerkit_losses(x):\n    return []\n", r"its hooks are not valid: .*Argument"
    ),
    "misspelt-hook": Stranger(
        sound("mine").replace("layerkit_layers", "layerkit_layer"),
        r'unknown hook "layerkit_layer"; did you mean "layerkit_layers"\?',
    ),
    "two-hooks": Stranger(
        sound("mine") + "@hookimpl(specname='layerkit_layers')\ndef more():\n    return []\n",
        r"two_hooks has more than one layerkit_layers",
    ),
    "wrapper-hook": Stranger(
        layer("mine") + "@hookimpl(wrapper=True)\ndef layerkit_layers():\n    return (yield)\n",
        r"must return a list .* not generator",
    ),
    "takes-builtin": Stranger(
        sound("conv2d"), r'the layer "conv2d" is already provided by layerkit \d.*; uninstall one'
    ),
    "takes-other": Stranger(
        sound("sound"), r'the layer "sound" is already provided by a-sound-one 1.2; uninstall one of the two'
    ),
    "same-entry-point": Stranger(
        sound("mine"), r"a-sound-one has an entry point of the same name", "a-sound-one = {module}"
    ),
    "same-object": Stranger("", r'a_sound_one is already the plugin "a-sound-one"', "{name} = a_sound_one"),
    "no-type": Stranger(
        changed(TYPE_FIELD, "size: int = 1"), r'MineSpec needs a field type: Literal\["its_name"\], without'
    ),
    "type-with-default": Stranger(
        changed(TYPE_FIELD, 'type: Literal["mine"] = "mine"'),
        r'needs a field type: Literal\["its_name"\], without a default',
    ),
    "type-is-text": Stranger(changed(TYPE_FIELD, "type: str"), r'needs a field type: Literal\["its_name"\]'),
    "two-types": Stranger(
        changed('Literal["mine"]', 'Literal["mine", "yours"]'), r"its type must be one name .*, not 'mine', 'yours'"
    ),
    "type-no-name": Stranger(
        changed('Literal["mine"]', 'Literal["My Layer"]'), r"of small letters, digits and _, not 'My Layer'"
    ),
    "type-import-path": Stranger(
        changed('Literal["mine"]', 'Literal["os.system"]'), r"its type must be one name .*'os.system'"
    ),
    "type-is-number": Stranger(changed('Literal["mine"]', "Literal[3]"), r"its type must be one name .*, not 3"),
    "no-schema": Stranger(
        changed(TYPE_FIELD, TYPE_FIELD + "\n    call: 'typing.Callable' = print").replace(
            "from typing", "import typing\nfrom typing"
        ),
        r"MineSpec cannot be described as a JSON Schema: PydanticInvalidForJsonSchema",
    ),
    "unfinished-spec": Stranger(
        changed(TYPE_FIELD, TYPE_FIELD + "\n    other: 'Unknown' = 1"),
        r"MineSpec cannot be described as a JSON Schema: ",
    ),
    "abstract-spec": Stranger(changed("def output_shape", "def shape"), r"MineSpec does not define output_shape"),
    "loose-spec": Stranger(
        changed(TYPE_FIELD, TYPE_FIELD + "\n    model_config = {'extra': 'allow'}"),
        r"its model_config must keep extra='forbid'",
    ),
    "hiding-field": Stranger(
        "import warnings\nwarnings.simplefilter('ignore')\n" + changed(TYPE_FIELD, TYPE_FIELD + "\n    inner: int = 0"),
        r"MineSpec: its field inner hides layerkit.LayerSpec.inner; rename it",
    ),
    "wrong-example": Stranger(
        changed(TYPE_FIELD, TYPE_FIELD + "\n    example = {'size': 3}"),
        r"its example has fields that the spec does not have: size",
    ),
    "newer-layerkit": Stranger(
        sound("mine"), r"it needs layerkit>=99.1, and this is layerkit \d", needs="layerkit>=99.1"
    ),
    "older-layerkit": Stranger(
        "raise SystemExit", r"it needs layerkit<0.1, and", needs='layerkit<0.1; python_version >= "3"'
    ),
    "raises-when-closed": Stranger("import sys\nsys.stdout.close()\nraise OSError('gone')", r"OSError: gone"),
}
"""Plugins that cannot be used, by the name of their package, each for a reason of its own."""

QUIRKY = {
    "prints-loudly": Stranger("print('{\"json\": 1}')\n" + sound("printed")),
    "prints-in-hook": Stranger(
        layer("hooked") + "@hookimpl\ndef layerkit_layers():\n    print('x')\n    return [MineSpec]\n"
    ),
    "writes-bytes": Stranger(
        "import sys\nsys.stdout.buffer.write(b'x')\nsys.stdout.reconfigure(encoding='utf-8')\n" + sound("bytes")
    ),
    "closes-stdout": Stranger("import sys\nsys.stdout.close()\n" + sound("closing")),
    "warns-early": Stranger("import warnings\nwarnings.warn('old', UserWarning)\n" + sound("warning")),
    "mutable-default": Stranger(
        changed(TYPE_FIELD, TYPE_FIELD + "\n    sizes: list[int] = []").replace('"mine"', '"mutable"')
    ),
    "nothing-yet": Stranger(returning("()")),
    "own-extra": Stranger(sound("extra"), needs='layerkit>=99; extra == "future"'),
    "no-such-name": Stranger(sound("odd_needs"), needs="layerkit is nice"),
    "no-metadata": Stranger(sound("lost"), files=(("METADATA", ""),)),
    "an-object": Stranger(
        layer("object")
        + "class Plugin:\n    @hookimpl\n    def layerkit_layers(self):\n        return [MineSpec]\n\n\n"
        + "plugin = Plugin()\n",
        entry_points="{name} = {module}:plugin",
    ),
}
"""Plugins with bad manners that work all the same."""


SOUND = Stranger(sound("sound"))


def install_all(folder: Path, strangers: dict[str, Stranger]) -> None:
    install(folder, "a-sound-one", SOUND)
    for name, stranger in strangers.items():
        install(folder, name, stranger)


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(python: Run) -> Run:
    """Return a function that runs a Python program in whose environment the packages of a folder are installed."""

    def run(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return python("-c", script, env=os.environ | {"PYTHONPATH": str(folder)} | environment)

    return run


REPORT = """
import json
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings
catalogue = installed(PluginSettings.from_environment())
report = {plugin.distribution: [plugin.status, plugin.reason, plugin.note] for plugin in catalogue.plugins}
names = [name for kind in ("layer", "loss", "optimizer", "noise", "schedule") for name in catalogue.names(kind)]
print(json.dumps({"plugins": report, "names": names}))
"""

BUILT_IN = {component.name for component in installed(PluginSettings(enabled=False)).components.values()}


@pytest.fixture
def forget_modules() -> Iterator[None]:
    """Let every test import its plugins anew."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.replace("_", "-") in {*BROKEN, *QUIRKY, "a-sound-one"}:
            del sys.modules[name]


def found(folder: Path, settings: PluginSettings) -> Catalogue:
    """Return the catalogue of layerkit and the packages in a folder, whatever else is installed."""
    points = entry_points(group="layerkit")
    here = [point for point in points if point.value == "layerkit.builtin" or _is_in(folder, point)]
    return collect(discover(settings, here))


def _is_in(folder: Path, point: EntryPoint) -> bool:
    return Path(str(point.dist.locate_file(""))) == folder


@pytest.mark.usefixtures("forget_modules")
@pytest.mark.parametrize("name", BROKEN)
def test_one_broken_plugin_is_named_and_harms_nobody(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_all(tmp_path, {name: BROKEN[name]})
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = found(tmp_path, PluginSettings())
    (failure,) = catalogue.failures()
    assert failure.distribution == name
    assert failure.version == "1.2"
    assert re.search(BROKEN[name].reason, failure.reason), failure.reason
    assert failure.reason.isprintable()
    assert failure.components == () and not failure.hooks
    assert {component.name for component in catalogue.components.values()} == BUILT_IN | {"sound"}
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("forget_modules")
@pytest.mark.parametrize("name", QUIRKY)
def test_a_plugin_with_bad_manners_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install_all(tmp_path, {name: QUIRKY[name]})
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings(action="default" if name == "warns-early" else "error", record=name == "warns-early"):
        catalogue = found(tmp_path, PluginSettings())
    assert catalogue.failures() == []
    expected = re.findall(r'Literal\["(\w+)"\]', QUIRKY[name].source) if name != "nothing-yet" else []
    assert {component.name for component in catalogue.components.values()} == BUILT_IN | {"sound", *expected}
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("forget_modules")
def test_what_a_plugin_prints_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(tmp_path, {"prints-loudly": QUIRKY["prints-loudly"]})
    monkeypatch.syspath_prepend(tmp_path)
    notes = {plugin.name: plugin.note for plugin in found(tmp_path, PluginSettings()).plugins}
    assert notes["prints-loudly"] == 'it prints while it is imported: "{\\"json\\": 1}"'
    assert notes["a-sound-one"] == ""


@pytest.mark.usefixtures("forget_modules")
def test_mutable_defaults_are_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(tmp_path, {"mutable-default": QUIRKY["mutable-default"]})
    monkeypatch.syspath_prepend(tmp_path)
    spec = found(tmp_path, PluginSettings()).components["layer", "mutable"].spec
    first, second = spec(type="mutable"), spec(type="mutable")
    first.sizes.append(1)
    assert second.sizes == []


def test_all_of_them_together_in_a_process_of_their_own(tmp_path: Path, run: Run) -> None:
    install_all(tmp_path, BROKEN | QUIRKY)
    result = run(tmp_path, REPORT)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)  # nothing else was printed
    for name, stranger in BROKEN.items():
        status, reason, _ = report["plugins"][name]
        # What one of them takes first, the others find taken.
        assert status == "failed"
        assert re.search(stranger.reason, reason), (name, reason)
    for name in ("layerkit", "a-sound-one", *QUIRKY):
        assert report["plugins"]["unknown" if name == "no-metadata" else name][0] == "loaded"
    assert set(report["names"]) >= BUILT_IN | {"sound", "printed", "object"}
    assert "mine" not in report["names"]


def test_a_spec_is_read_and_its_error_names_who_failed(tmp_path: Path, run: Run) -> None:
    install_all(tmp_path, BROKEN)
    script = """
import json
from layerkit.spec.loading import load_architecture
from layerkit.errors import SpecError
net = {"format": 1, "name": "n", "input": {"channels": 1, "height": 2, "width": 2}, "layers": [{"type": "sound"}]}
assert load_architecture(json.dumps(net)).layers[0].type == "sound"
try:
    load_architecture(json.dumps(net | {"layers": [{"type": "mine"}]}))
except SpecError as error:
    print(error)
"""
    result = run(tmp_path, script)
    assert result.returncode == 0, result.stderr
    assert 'layers[0].type (mine): unknown layer "mine"' in result.stdout
    for name in BROKEN:
        assert f"of {name} 1.2 (" in result.stdout


def test_warnings_that_are_errors_fail_the_plugin_alone(tmp_path: Path, run: Run) -> None:
    install_all(tmp_path, {"warns-early": QUIRKY["warns-early"]})
    as_errors = "import warnings; warnings.filterwarnings('error', 'old', UserWarning)"
    report = json.loads(run(tmp_path, as_errors + REPORT).stdout)
    assert report["plugins"]["warns-early"][:2] == [
        "failed",
        "importing warns_early failed: UserWarning: old (warns_early.py:2)",
    ]
    assert report["plugins"]["a-sound-one"][0] == "loaded"


def test_an_interrupt_by_the_user_ends_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "slow-one", Stranger("raise KeyboardInterrupt"))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        found(tmp_path, PluginSettings())


def test_a_plugin_that_pip_installed(tmp_path: Path, run: Run) -> None:
    project, target = tmp_path / "project", tmp_path / "target"
    project.mkdir()
    (project / "pip_made.py").write_text(sound("made"))
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "pip-made"\nversion = "0.3"\ndependencies = ["layerkit"]\n'
        '[project.entry-points.layerkit]\nmade = "pip_made"\n[tool.setuptools]\npy-modules = ["pip_made"]\n'
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    offline = ["--no-build-isolation", "--no-index", "--target", str(target), str(project)]
    subprocess.run([*pip, *offline], check=True, capture_output=True)
    report = json.loads(run(target, REPORT).stdout)
    assert report["plugins"]["pip-made"] == ["loaded", "", ""]
    assert "made" in report["names"]


# Settings


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, PluginSettings()),
        ({"LAYERKIT_NO_PLUGINS": "0", "LAYERKIT_STRICT_PLUGINS": "", "LAYERKIT_WITHOUT": " "}, PluginSettings()),
        ({"LAYERKIT_NO_PLUGINS": "1"}, PluginSettings(enabled=False)),
        ({"LAYERKIT_STRICT_PLUGINS": "yes"}, PluginSettings(strict=True)),
        ({"LAYERKIT_WITHOUT": "a, b-c,,"}, PluginSettings(without=frozenset({"a", "b-c"}))),
    ],
)
def test_settings_come_from_the_environment(environment: dict[str, str], expected: PluginSettings) -> None:
    assert PluginSettings.from_environment(environment) == expected


@pytest.mark.parametrize("without", ["system-exit", "System.Exit", "SYSTEM_EXIT"])
def test_what_is_left_out_is_not_even_imported(without: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(tmp_path, {"system-exit": Stranger("raise AssertionError('imported')")})
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = found(tmp_path, PluginSettings(without=frozenset({without})))
    statuses = {plugin.distribution: plugin.status for plugin in catalogue.plugins}
    assert statuses == {"layerkit": "loaded", "a-sound-one": "loaded", "system-exit": "blocked"}


@pytest.mark.usefixtures("forget_modules")
def test_without_plugins_only_the_built_in_components_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(tmp_path, {"system-exit": BROKEN["system-exit"]})
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = found(tmp_path, PluginSettings(enabled=False, without=frozenset({"layerkit", "builtin"})))
    assert {component.name for component in catalogue.components.values()} == BUILT_IN
    assert [plugin.reason for plugin in catalogue.plugins[1:]] == ["left out by the settings"] * 2


@pytest.mark.usefixtures("forget_modules")
def test_one_that_is_left_out_makes_room_for_its_namesake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_all(tmp_path, {"same-entry-point": BROKEN["same-entry-point"]})
    monkeypatch.syspath_prepend(tmp_path)
    # Both have the entry point "a-sound-one"; this one is left out by the name of its package.
    points = [p for p in entry_points(group="layerkit") if p.dist.name in ("same-entry-point", "a-sound-one")]
    renamed = [EntryPoint("shared", p.value, p.group)._for(p.dist) for p in points]
    plugins = discover(PluginSettings(without=frozenset({"a-sound-one"})), renamed)
    assert [(plugin.distribution, plugin.status) for plugin in plugins] == [
        ("a-sound-one", "blocked"),
        ("same-entry-point", "loaded"),
    ]


def test_strict_mode_makes_any_failure_an_error(tmp_path: Path, run: Run) -> None:
    install_all(tmp_path, {"import-error": BROKEN["import-error"]})
    result = run(tmp_path, REPORT, LAYERKIT_STRICT_PLUGINS="1")
    assert result.returncode == 1
    assert 'PluginError: plugin "import-error" of import-error 1.2: importing import_error failed' in result.stderr


def test_the_order_is_layerkit_first_and_then_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zz-last", "Mm-middle", "aa-first"):
        install(tmp_path, name, Stranger("raise ImportError"))
    monkeypatch.syspath_prepend(tmp_path)
    plugins = found(tmp_path, PluginSettings()).plugins
    assert [plugin.distribution for plugin in plugins] == ["layerkit", "aa-first", "Mm-middle", "zz-last"]


def test_an_entry_point_of_no_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    (plugin,) = discover(PluginSettings(), [EntryPoint("x", "nowhere_at_all", "layerkit")])
    assert str(plugin) == 'plugin "x" of unknown ?'
    assert plugin.status == "failed"


@pytest.mark.usefixtures("forget_modules")
def test_two_entry_points_of_one_broken_module_have_one_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "misspelt-hook", replace(BROKEN["misspelt-hook"], entry_points="one = {module}\ntwo = {module}"))
    monkeypatch.syspath_prepend(tmp_path)
    first, second = found(tmp_path, PluginSettings()).failures()
    assert first.reason == second.reason
    assert first.reason.startswith("unknown hook")


@pytest.mark.parametrize(("own", "fits"), [("0.2.0.dev1", True), ("0.1rc1", False), ("3", True)])
def test_which_layerkit_a_plugin_needs(own: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "a-sound-one", SOUND)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("layerkit.registry.discovery.__version__", own)
    assert (found(tmp_path, PluginSettings()).failures() == []) == fits


def test_a_hundred_plugins_are_each_imported_once_and_none_is_listed_twice(tmp_path: Path, run: Run) -> None:
    """Stands for the bound of a second that is measured by hand: the work is done once a plugin."""
    counting = "import builtins\nbuiltins.seen = getattr(builtins, 'seen', 0) + 1\n"
    for index in range(100):
        install(tmp_path, f"many-{index}", Stranger(counting + sound(f"many{index}")))
    script = f"{REPORT}\ninstalled()\nimport builtins, sys\nprint(builtins.seen, file=sys.stderr)"
    result = run(tmp_path, script)
    assert result.stderr.strip() == "100"
    assert {f"many{index}" for index in range(100)} <= set(json.loads(result.stdout)["names"])
