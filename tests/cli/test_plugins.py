from __future__ import annotations

import json

from layerkit.cli import run


def test_lists_what_is_installed(capsys):
    assert run(["plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["builtin"]["distribution"] == "layerkit"
    assert {"kind": "layer", "name": "conv2d"} in rows["builtin"]["components"]
    assert rows["activations"]["status"] == "loaded"
    assert {"kind": "layer", "name": "gelu"} in rows["activations"]["components"]


def test_plugins_can_be_left_out_by_name_or_altogether(capsys):
    assert run(["--without", "layerkit-activations", "plugins", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["activations"]["status"] == "blocked"
    assert rows["optimizers"]["status"] == "loaded"
    assert run(["--no-plugins", "plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows if row["status"] == "loaded"] == ["builtin"]


def test_the_table_says_what_each_provides(capsys):
    assert run(["plugins"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "layerkit 0.1.0 builtin loaded" in printed
    assert "leaky_relu" in printed
