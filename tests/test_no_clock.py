"""No test looks at the clock: what takes a second today takes ten on a busy machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLOCKS = {"time", "timeit"}
LIMITS = {"timeout", "deadline"}
ALLOWED = {
    "tests/testing/zoo_schedules.py",
    "tests/testing/zoo_surroundings.py",
    "tests/testing/test_instruments.py",
}
"""Their subject is the clock: a component that looks at it is a mistake, which the kit finds by another time."""


def looks(text: str) -> Iterator[str]:
    """Yield where a program looks at the clock, or gives something a limited time."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names) if CLOCKS & {name.name for name in names}:
                yield f"line {node.lineno} imports a clock"
            case ast.ImportFrom(module=module) if module in CLOCKS:
                yield f"line {node.lineno} imports from a clock"
            case ast.Call(func=ast.Attribute(value=ast.Name("time") | ast.Attribute(attr="time"))):
                yield f"line {node.lineno} asks for the time"
            case ast.keyword(arg=name, value=value) if name in LIMITS and ast.unparse(value) != "None":
                yield f"line {value.lineno} gives a {name}"


def test_no_test_looks_at_the_clock():
    found = {}
    for path in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("plugins/*/tests/**/*.py")]:
        if places := list(looks(path.read_text())):
            found[path.relative_to(ROOT).as_posix()] = places
    told = "; ".join(f"{name}: {', '.join(places)}" for name, places in found.items() if name not in ALLOWED)
    assert not told, f"{told}. Count work in place of time: see `at_most` in tests/conftest.py"
    assert found.keys() == ALLOWED, "what is allowed to look at the clock does not any more; take it off the list"


@pytest.mark.parametrize(
    ("program", "place"),
    [
        ("import os, time", "line 1 imports a clock"),
        ("\nfrom time import monotonic as now", "line 2 imports from a clock"),
        ("layerkit.fit.time.perf_counter()", "line 1 asks for the time"),
        ("process.wait(timeout=60)", "line 1 gives a timeout"),
        ("settings(deadline=200, max_examples=5)", "line 1 gives a deadline"),
    ],
)
def test_a_look_at_the_clock_is_found(program, place):
    assert list(looks(program)) == [place]


@pytest.mark.parametrize(
    "program", ["from lifetime import time", "settings(deadline=None)", "setattr(fit.time, 'perf_counter', ticks)"]
)
def test_what_looks_at_no_clock_may_stay(program):
    assert not list(looks(program))
