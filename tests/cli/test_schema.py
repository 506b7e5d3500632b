from __future__ import annotations

import json

from layerkit import installed
from layerkit.cli import run
from layerkit.spec.schema import architecture_schema


def test_prints_or_writes_the_schema_of_everything_installed(tmp_path, capsys):
    assert run(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(architecture_schema(installed())))
    path = tmp_path / "deep" / "schema.json"
    assert run(["schema", "--output", str(path)]) == 0
    assert json.loads(path.read_text()) == printed
