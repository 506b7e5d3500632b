"""Every table at every width: nothing is cut, and nothing is wider than the terminal."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from layerkit.cli import run
from layerkit.cli.commands.conformance import _table
from layerkit.cli.grid import Column, Grid
from layerkit.cli.tables import quality_table
from layerkit.denoising.evaluation import Evaluation
from layerkit.denoising.metrics import Quality
from layerkit.denoising.tuning import BaselineResult
from layerkit.testing.results import Report, Result

WIDTHS = (40, 60, 80, 120)
STRONG = str(Path(__file__).parents[2] / "architectures" / "strong.json")


def printed(what: object, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(what)
    return capture.get().splitlines()


def words(lines: list[str]) -> set[str]:
    return set(" ".join(lines).split())


def grid() -> Grid:
    made = Grid(
        [
            Column("Name", total="total"),
            Column("What it does", prose=True),
            Column("Big number", right=True, total="3,000"),
        ]
    )
    made.title, made.caption = "All of them", "in no order"
    made.add("first", "one two three four five six seven eight nine ten eleven", "1,000")
    made.add("  inner", "", "2,000", style="bold")
    return made


def test_a_table_where_there_is_room() -> None:
    assert [line.rstrip() for line in printed(grid(), 100)] == [
        "                                   All of them",
        "",
        "  Name      What it does                                              Big number",
        " ────────────────────────────────────────────────────────────────────────────────",
        "  first     one two three four five six seven eight nine ten eleven        1,000",
        "    inner                                                                  2,000",
        "",
        "  total                                                                    3,000",
        "",
        "                                   in no order",
    ]


def test_headings_and_prose_are_broken_before_anything_else() -> None:
    assert [line.rstrip() for line in printed(grid(), 40)] == [
        "              All of them",
        "",
        "                                  Big",
        "  Name      What it does       number",
        " ─────────────────────────────────────",
        "  first     one two three       1,000",
        "            four five six",
        "            seven eight nine",
        "            ten eleven",
        "    inner                       2,000",
        "",
        "  total                         3,000",
        "",
        "              in no order",
    ]


def test_a_list_where_there_is_none() -> None:
    assert [line.rstrip() for line in printed(grid(), 30)] == [
        "All of them",
        "",
        "first",
        "  What it does: one two three",
        "  four five six seven eight",
        "  nine ten eleven",
        "  Big number: 1,000",
        "  inner",
        "    Big number: 2,000",
        "total",
        "  Big number: 3,000",
        "",
        "in no order",
    ]


@pytest.mark.parametrize("width", range(6, 130))
def test_no_word_is_lost_and_no_line_too_long(width: int) -> None:
    lines = printed(grid(), width)
    assert all(len(line) <= width for line in lines)
    letters = re.sub(r"[\s─]", "", "".join(lines))
    assert "…" not in letters
    assert all(word in letters for word in ("first", "one", "seven", "eleven", "inner", "1,000", "3,000", "total"))


def test_brackets_are_no_markup_and_styles_are_kept() -> None:
    made = Grid([Column("a"), Column("b")])
    made.add("[bold]x[/]", Text("red", style="red"))
    assert "[bold]x[/]" in "".join(printed(made, 40)) and "[bold]x[/]" in "".join(printed(made, 5)).replace(" ", "")


# The tables of the commands

COMMANDS = {
    "plugins": ["plugins"],
    "show": ["show", STRONG],
    "profile": ["profile", STRONG, "--batch-size", "1", "--threads", "1", "--seconds", "0.1"],
    "docs": ["docs", "transposed_conv2d"],
}


@pytest.fixture
def whole(monkeypatch, capsys):
    """Return a function that runs a command at some width and returns its lines."""

    def whole(arguments: list[str], width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        assert run(arguments) == 0
        return capsys.readouterr().out.splitlines()

    return whole


@pytest.mark.parametrize("name", COMMANDS)
def test_what_commands_print_is_whole_at_every_width(name, whole, monkeypatch):
    from functools import partial
    from types import SimpleNamespace

    from layerkit.training import profiling

    monkeypatch.setattr(profiling, "time", SimpleNamespace(perf_counter=partial(next, count())))
    expected = words(whole(COMMANDS[name], 400))
    numbers = {word for word in expected if re.fullmatch(r"[\d.,]+%?|\d+x\d+x\d+", word)}
    for width in WIDTHS:
        lines = whole(COMMANDS[name], width)
        assert all(len(line) <= width for line in lines), width
        assert not any("…" in line for line in lines), width
        assert numbers - words(lines) == set(), width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("estimated", [False, True])
def test_the_table_of_an_evaluation(width, estimated):
    def quality(psnr: float) -> Quality:
        return Quality(psnr_mean=None if estimated else psnr, psnr_of_mse=psnr - 1.5, ssim=None if estimated else 0.75)

    blur = BaselineResult("non-local means", {}, quality(23.0), 0.05)
    evaluation = Evaluation(1000, quality(20.0), quality(24.5), 10.0, estimated=estimated)
    lines = printed(quality_table(evaluation, "validation pictures", [blur]), width)
    assert all(len(line) <= width for line in lines) and not any("…" in line for line in lines)
    assert {"18.50", "23.00", "21.50", "+4.50", "50"} <= words(lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_of_the_conformance_kit(width):
    results = [
        Result("layer", "a_layer_with_a_long_name_in_it", "layerkit", f"check_{number}", outcome, examples=1_000_000)
        for number, outcome in enumerate(("passed", "failed", "not applicable"))
    ]
    lines = printed(_table(Report(tuple(results), "quick", 0)), width)
    assert all(len(line) <= width for line in lines) and not any("…" in line for line in lines)
    assert {"a_layer_with_a_long_name_in_it", "3000000", "0.0"} <= words(lines)
