"""The plan of the house: the linter holds its floors, and CONTRIBUTING.md tells what is there."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "layerkit"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the house, with the contracts that it is held to, in which things can be broken."""
    shutil.copytree(HOUSE, tmp_path / "layerkit", ignore=lambda _, names: {n for n in names if n == "__pycache__"})
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``lint-imports`` on the house in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


def test_the_linter_finds_nothing_in_the_house_as_it_is(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "imported", "sentence"),
    [
        ("errors.py", "layerkit.cli", "Each folder imports only from the folders below it BROKEN"),
        ("drawing/sheet.py", "layerkit.training", "Each folder imports only from the folders below it BROKEN"),
        (
            "cli/commands/show.py",
            "layerkit.builtin.layers.relu",
            "The built-in components are found through the registry, like anyone's BROKEN",
        ),
        (
            "arithmetic/axes.py",
            "layerkit.arithmetic.sums",
            "Inside a folder no two parts import each other, even by a detour BROKEN",
        ),
    ],
)
def test_an_import_that_is_not_allowed_is_told_in_a_sentence(
    copy: Path, file: str, imported: str, sentence: str
) -> None:
    with (copy / "layerkit" / file).open("a") as module:
        module.write(f"\nimport {imported}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert sentence in done.stdout
    assert re.search(rf"\.{Path(file).stem}\b", done.stdout), "the one that imports is named"


def test_a_new_folder_needs_a_floor(copy: Path) -> None:
    (copy / "layerkit" / "attic").mkdir()
    (copy / "layerkit" / "attic" / "__init__.py").write_text('"""Things nobody needs."""\n')
    done = lint(copy)
    assert done.returncode == 1
    assert "layerkit.attic" in done.stdout


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "template" not in path.parts)


def test_every_folder_is_a_package_and_every_file_begins_with_what_it_is_for() -> None:
    files = modules(HOUSE)
    assert {path.parent / "__init__.py" for path in files} <= set(files)
    silent = [path.relative_to(HOUSE) for path in files if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


# CONTRIBUTING.md

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def rows() -> list[tuple[list[str], str]]:
    """Return the names in each row of the table of folders, and what is said about them."""
    section = CONTRIBUTING.split("## The way through the house")[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", names), says) for names, says in cells]


def test_the_table_names_every_folder_and_file_at_the_top_and_nothing_else() -> None:
    named = [name for names, _ in rows() for name in names]
    there = {f"{path.name}/" for path in HOUSE.iterdir() if (path / "__init__.py").exists()}
    there |= {path.name for path in HOUSE.iterdir() if path.suffix in (".py", ".pyi")}
    assert sorted(named) == sorted(there)


def test_the_table_names_every_folder_within_a_folder() -> None:
    for names, says in rows():
        inside = {f"{path.parent.name}/" for name in names for path in (HOUSE / name).glob("*/__init__.py")}
        assert set(re.findall(r"`(\w+/)`", says)) == inside, names


def test_the_table_goes_from_the_roof_down_as_the_contract_does() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    floors = [name for floor in contract["layers"] for name in floor.split(" | ")]
    named = [name.removesuffix(".py").rstrip("/") for names, _ in rows() for name in names]
    assert [name for name in named if not name.startswith("__init__")] == floors


def test_every_file_and_folder_that_contributing_names_is_there() -> None:
    top = ("src", "tests", "plugins", "docs", "architectures", "benchmarks")
    there = [path.relative_to(ROOT).as_posix() for name in top for path in (ROOT / name).rglob("*")]
    there += [path.name for path in ROOT.iterdir()]
    for name in re.findall(r"`([\w./-]+(?:\.py|\.c|\.md|\.txt|\.toml|/))`", CONTRIBUTING):
        assert any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in there), name
