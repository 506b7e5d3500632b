"""Opening a spec or a checkpoint executes nothing, whatever stands in it: Python itself is asked, by an audit hook."""

from __future__ import annotations

import json
import os
from pathlib import Path

from layerkit import build, load_architecture, save

WATCHED = """
import json, pickle, sys
from pathlib import Path

import layerkit
from layerkit.errors import LayerkitError

folder = Path(sys.argv[1])
SUSPECT = ("exec", "compile", "import", "code.", "marshal.", "pickle.", "ctypes.", "cpython.", "subprocess.", "socket.",
           "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.startfile", "pty.", "webbrowser.",
           "http.", "urllib.", "ftplib.", "smtplib.", "sys.settrace", "sys.setprofile", "function.__new__")
seen, watching = [], False

def hook(event, arguments):
    if watching and event.startswith(SUSPECT):
        seen.append(f"{event} {str(arguments)[:200]}")

sys.addaudithook(hook)

def everything():
    for path in sorted(folder.glob("*.json")):
        for source in (path, path.read_text()):
            try:
                layerkit.load_architecture(source, overrides={"training.optimizer.lr": 0.1})
            except LayerkitError as error:
                str(error)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            layerkit.load(path)
        except LayerkitError as error:
            str(error)

everything()  # what is imported is imported
watching = True
everything()
watching = False
print(json.dumps(seen))
watching = True
exec("1")
watching = False
print(json.dumps(seen))
"""

NAMES = [
    "sprung.Layer",
    "sprung:Layer",
    "os.system",
    "__import__('os').mkdir('sprung_folder')",
    "layerkit.builtin.layers.conv2d:Conv2d",
    "!!python/object:os.system",
]


def test_nothing_is_executed(tmp_path, tiny, python):
    tree = tiny.tree()
    files = {"good": tree}
    for number, name in enumerate(NAMES):
        layer = {"type": name, "_target_": name, "class_name": name, "module": "os", "py/object": name}
        files[f"layer{number}"] = tree | {"layers": [layer]}
        files[f"value{number}"] = tree | {
            "layers": [{"type": "conv2d", "out_channels": name, "kernel_size": f"${name}"}]
        }
        files[f"key{number}"] = tree | {name: name, "$schema": f"file:///{name}", "define": {"width": name}}
        files[f"needs{number}"] = tree | {
            "requires": {"layer": {"nothing": f"{name}==1.0"}},
            "layers": [{"type": "nothing"}],
        }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "sprung.py").write_text("open('sprung_folder', 'w')")  # what a name would import
    _write_checkpoints(tmp_path, tree)
    process = python("-c", WATCHED, tmp_path, check=True, cwd=tmp_path)
    seen, proof = map(json.loads, process.stdout.splitlines())
    assert seen == []
    assert [event.split()[0] for event in proof] == ["compile", "exec"]  # the hook does see
    assert not (tmp_path / "sprung_folder").exists()


def _write_checkpoints(folder: Path, tree: dict) -> None:
    """Write a checkpoint, one with a damaged end, and one that is a pickle with a trap."""
    import pickle

    architecture = load_architecture(json.dumps(tree))
    path = folder / "good.safetensors"
    save(path, build(architecture), architecture)
    (folder / "damaged.safetensors").write_bytes(path.read_bytes()[:-1] + b"\0")

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(folder / "sprung_folder"),)

    (folder / "trap.safetensors").write_bytes(pickle.dumps(Trap()))
