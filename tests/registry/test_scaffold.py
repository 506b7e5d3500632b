from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

import layerkit
from layerkit import UserError, installed
from layerkit.cli import run
from layerkit.contracts.kinds import KINDS
from layerkit.registry.scaffold import write_plugin


def test_a_new_plugin_is_installed_proven_and_trained_with(tmp_path, tiny, python):
    write_plugin("layerkit-wavelet", tmp_path, installed())
    folder, site = tmp_path / "layerkit-wavelet", tmp_path / "site"
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site), str(folder)]
    subprocess.run([sys.executable, "-m", *install], check=True, env=environment)
    tested = python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, env=environment)
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
    tree = tiny.tree()
    tree["layers"].insert(0, {"type": "wavelet", "init": 0.5})
    (tmp_path / "net.json").write_text(json.dumps(tree))
    options = ["--data", tiny.data, "--epochs", "1", "--output", tmp_path / "run"]
    trained = python("-m", "layerkit", "train", tmp_path / "net.json", *options, env=environment)
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "layer"])
def test_a_plugin_of_another_kind_passes_its_battery(tmp_path, monkeypatch, kind):
    assert run(["new-plugin", f"layerkit-new-{kind}", "--kind", kind, "--output", str(tmp_path)]) == 0
    folder = tmp_path / f"layerkit-new-{kind}"
    monkeypatch.syspath_prepend(folder / "src")
    plugin = importlib.import_module(f"layerkit_new_{kind}")
    report = layerkit.testing.run(plugin, profile="quick")
    assert not report.failures, report.explain()
    assert [found for found, _ in report.components()] == [kind]
    readme = (folder / "README.md").read_text()
    sample = json.loads(readme.split("```json")[1].split("```")[0])
    (spec,) = getattr(plugin, KINDS[kind].hook)()
    assert spec.model_validate(sample).name() == f"new_{kind}"
    assert f"the {kind}: " in readme
    assert "{{" not in "".join(path.read_text() for path in folder.rglob("*") if path.suffix in (".py", ".toml", ".md"))


def test_a_kind_that_is_none_is_refused(tmp_path, capsys):
    assert run(["new-plugin", "layerkit-mine", "--kind", "metric", "--output", str(tmp_path)]) == 2
    assert 'unknown kind "metric"; known are layer, loss, optimizer, noise, schedule' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_comes_next(tmp_path, capsys):
    assert run(["new-plugin", "layerkit-wavelet", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "layerkit-wavelet" / "pyproject.toml") in printed
    assert 'pip install --editable ".[test]" && pytest' in printed


@pytest.mark.parametrize("name", ["Layers", "a b", "../up", "", "1x", "x" * 61])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="is not a name for a package; use small letters"):
        write_plugin(name, tmp_path, installed())
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(UserError, match='"relu" is the name of a layer of layerkit; choose another'):
        write_plugin("layerkit-relu", tmp_path, installed())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torch", '"torch" is taken: the package torch is installed here, and two .*; take layerkit-torch$'),
        ("json", "it is a module of Python itself, .*; take layerkit-json$"),
        ("tensorflow", "it is a well-known package on the Python Package Index, .*; take layerkit-tensorflow$"),
        ("layerkit", "is taken: .*; take another name$"),
        ("class", '"class" is a word of Python itself, so no module can have that name; choose another name'),
        ("layerkit-class", '"class" is a word of Python itself, so no module can have that name; choose another name'),
    ],
)
def test_a_name_that_would_shadow_another_package_is_refused(tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence):
        write_plugin(name, tmp_path, installed())
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_it_too(tmp_path, capsys):
    assert run(["new-plugin", "torch", "--output", str(tmp_path)]) == 2
    assert "take layerkit-torch\n" in capsys.readouterr().err


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "layerkit-wavelet").mkdir()
    with pytest.raises(UserError, match="layerkit-wavelet already exists"):
        write_plugin("layerkit-wavelet", tmp_path, installed())
