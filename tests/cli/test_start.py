"""How the command line starts: quickly, with help for everything, and with a sentence for a wrong command."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from layerkit.cli import COMMANDS, python_name, run


def loaded_by(*arguments: str) -> set[str]:
    program = f"import sys; from layerkit.cli import run; run({list(arguments)!r}); print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["conformance", "--help"]])
def test_help_loads_neither_torch_nor_pydantic_nor_a_plugin(arguments):
    modules = loaded_by(*arguments)
    assert "click" in modules
    assert not modules & {"torch", "pydantic", "pluggy", "numpy", "matplotlib", "layerkit_activations"}


def test_the_help_lists_every_command_with_what_it_does(capsys):
    assert run(["--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_module_of_its_name(name):
    module = importlib.import_module(f"layerkit.cli.commands.{python_name(name)}")
    command = getattr(module, python_name(name))
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_a_wrong_command_is_answered_with_the_nearest(capsys):
    assert run(["shw"]) == 2
    assert "No such command 'shw'. Did you mean \"show\"?" in capsys.readouterr().err


def test_the_module_can_be_run():
    done = subprocess.run([sys.executable, "-m", "layerkit", "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in done.stdout


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m layerkit schema | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
