"""A dash in the place of a file is standard input, in every command that reads a spec."""

from __future__ import annotations

import io
import json
import sys

import pytest

from layerkit.cli import run


class Unreadable(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        raise OSError(5, "Input/output error")


@pytest.fixture
def given(monkeypatch):
    """Return a function that gives bytes as standard input."""

    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return given


def test_a_network_is_shown_validated_and_trained(given, tiny, tmp_path, capsys):
    text = json.dumps(tiny.tree(epochs=1)).encode()
    given(text)
    assert run(["validate", "-"]) == 0
    assert capsys.readouterr().out == "<stdin>: valid\n"
    given(text)
    assert run(["show", "-", "--set", "name=other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "other"
    given(text)
    arguments = ["--data", str(tiny.data), "--output", str(tmp_path / "run"), "--quiet", "--epochs", "1"]
    assert run(["train", "-", *arguments]) == 0
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("command", [["validate"], ["show"], ["train"], ["profile"]])
def test_mistakes_have_their_place_in_it(command, given, tiny, capsys):
    given(json.dumps(tiny.tree(), indent=1).replace('"conv2d"', '"con2d"', 1).encode())
    assert run([*command, "-"]) == 2
    assert '<stdin>:11:4: layers[0].type (con2d): unknown layer "con2d"; did you' in capsys.readouterr().err


def test_a_network_without_training_is_named_so_too(given, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tree = tiny.tree()
    del tree["training"]
    given(json.dumps(tree).encode())
    assert run(["train", "-", "--data", str(tiny.data)]) == 2
    assert capsys.readouterr().err.startswith('error: <stdin>: the network "tiny" has no "training" block')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "<stdin>:1:1: not JSON: "),
        (b" " * 1_000_001, "<stdin>: the text is too long; at most 1,000,000 bytes are read"),
        (b"\xff", "<stdin>:1: the text is not UTF-8"),
    ],
)
def test_it_is_read_as_files_are(content, message, given, capsys):
    given(content)
    assert run(["validate", "-"]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_what_cannot_be_read(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert run(["show", "-"]) == 2
    assert capsys.readouterr().err == "error: <stdin>: cannot be read: it is closed\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Unreadable())))
    assert run(["show", "-"]) == 2
    assert capsys.readouterr().err == "error: <stdin>: cannot be read: Input/output error\n"
