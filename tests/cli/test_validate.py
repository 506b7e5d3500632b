from __future__ import annotations

import json
from pathlib import Path

from layerkit.cli import run


def test_names_the_files_that_are_valid(table1, unet, capsys):
    assert run(["validate", table1, unet]) == 0
    assert capsys.readouterr().out == f"{table1}: valid\n{unet}: valid\n"


def test_says_every_mistake_of_every_file(table1, tmp_path, capsys):
    text = Path(table1).read_text().replace('"kernel_size": 2', '"kernel_size": "2"', 1).replace('"mse"', '"msa"')
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    assert run(["validate", str(wrong), table1, "none.json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{table1}: valid\n"
    assert f"{wrong}:9:50: layers[0].kernel_size (conv2d): expected a whole number" in printed.err
    assert 'unknown loss "msa"; did you mean "mse"?' in printed.err
    assert "none.json: cannot be read" in printed.err


def test_schemas_beside_the_files_are_left_out(table1, capsys):
    files = sorted(str(path) for path in Path(table1).parent.glob("*.json"))
    assert run(["validate", *files]) == 0
    said = capsys.readouterr()
    left_out = [line for line in said.out.splitlines() if line.endswith(": valid") is False]
    assert [line.partition(": ")[0] for line in left_out] == [file for file in files if file.endswith(".schema.json")]
    assert all("left out, since it is a JSON Schema for editors and not a network" in line for line in left_out)
    assert run(["validate", "--json", *files]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(files) - 2


def test_experiments_are_checked_with_their_trials(table1, tmp_path, capsys):
    files = sorted(str(path) for path in Path(table1).parent.glob("experiments/*.json"))
    assert files
    assert run(["validate", *files]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}: valid" for file in files]
    (tmp_path / "table1.json").write_bytes(Path(table1).read_bytes())
    wrong = tmp_path / "wrong.json"
    tree = {"format": 1, "name": "e", "title": "t", "base": "table1.json", "figure": {"type": "table"}}
    wrong.write_text(json.dumps(tree | {"vary": {"training.batch_size": [4, 0]}}))
    assert run(["validate", str(wrong)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{wrong}:1:") and "training.batch_size" in told and "got 0" in told


def test_json_for_programs(table1, tmp_path, capsys):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    assert run(["validate", table1, str(wrong), "--json"]) == 2
    good, bad = json.loads(capsys.readouterr().out)
    assert good == {"file": table1, "valid": True, "problems": []}
    assert {problem["path"] for problem in bad["problems"]} == {"format", "name", "input", "layers"}
    assert all(problem["line"] == 1 and problem["message"].startswith("missing") for problem in bad["problems"])
