"""Specs that somebody has tampered with: read, or refused with a sentence, and nothing else."""

from __future__ import annotations

import copy
import json
import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerkit.contracts.kinds import KINDS
from layerkit.errors import SpecError
from layerkit.registry.catalogue import installed
from layerkit.spec.loading import load_architecture, read_architecture

THOROUGH = os.environ.get("LAYERKIT_THOROUGH", "") not in ("", "0")
ROOT = Path(__file__).parents[2]

TREES = [json.loads(path.read_text()) for path in sorted((ROOT / "architectures").glob("*.json"))]
TREES = [tree for tree in TREES if "layers" in tree]
PIECES = [component.example for kind in KINDS for component in installed().of_kind(kind)]

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 0.5, -0.0, 1e308, 5e-324, 10**12, -(10**39), 2**31, 2**63, 2**64),
    *(
        "",
        "3",
        "relu",
        "sgd",
        "$width",
        "$",
        "\u0000",
        "\u202e",
        "x" * 300,
        "os.system",
        "__class__",
        "../../etc/passwd",
    ),
    *([], [[]], [3, 3], [1, 2, 3], {}, {"type": "relu"}, {"type": ["relu"]}, {"type": None}, {"": {}}),
]
TOKENS = [
    *('"', "\\", "{", "}", "[", "]", ",", ":", "NaN", "Infinity", "-", "1e999", "1e-999", "0x10", "01", "+1", ".5"),
    *("true", "null", "/*", "//", "#", "\ufeff", "\x00", "\\ud800", "\\u0000", "\n" * 50, "9" * 41, "9" * 4000),
    *("[" * 40, '{"a":' * 40, '"type":"relu",', '"layers":[', " " * 1000, "\x1b[31m", "\u2028", "\U0001f600"),
]


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place in a tree as (container, key)."""
    found = []
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        found += [(tree, key), *nodes(tree[key])]
    return found


def mutate_tree(tree: Any, drawn: random.Random) -> None:
    """Change one value, key or place of a tree."""
    places = nodes(tree)
    if not places:
        return
    change = drawn.choice([1, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 8])
    numbers = [(container, key) for container, key in places if isinstance(container[key], int | float)]
    container, key = drawn.choice(numbers if change == 6 and numbers else places)
    match change:
        case 1:
            container[key] = copy.deepcopy(drawn.choice(VALUES))
        case 2:
            del container[key]
        case 3:
            container[key] = copy.deepcopy(drawn.choice(PIECES))
        case 4:
            other, other_key = drawn.choice(places)
            container[key] = copy.deepcopy(other[other_key])
        case 5 if isinstance(container, dict):
            container[drawn.choice(["type", "layers", "define", "x", key.upper(), key[:-1]])] = container.pop(key)
        case 6 if isinstance(container[key], int | float):
            # Some of the changes should be ones that a spec survives, or only refusals are tried.
            container[key] = drawn.choice(
                [container[key] + 1, container[key] * drawn.choice([-1, 2, 1000, 10**6, 0.1])]
            )
        case 7 if isinstance(container[key], list):
            container[key] = container[key] * drawn.choice([0, 2, 50])
        case _:
            container[key] = [container[key]]


def mutate_text(text: str, drawn: random.Random) -> str:
    """Change a few characters of a text."""
    start = drawn.randrange(len(text) + 1)
    stop = min(len(text), start + drawn.choice([0, 0, 1, 1, 3, 20, 300]))
    match drawn.randrange(4):
        case 0:
            return text[:start] + drawn.choice(TOKENS) + text[stop:]
        case 1:
            return text[:start] + text[stop:]
        case 2:
            return text[:stop] + text[start:]
        case _:
            return text[:start]


def mutated(seed: int) -> str:
    """Return one of the specs with a few changes; half of them are still JSON."""
    drawn = random.Random(seed)
    tree = copy.deepcopy(drawn.choice(TREES))
    for _ in range(drawn.choice([1, 1, 1, 2, 3, 5])):
        mutate_tree(tree, drawn)
    text = json.dumps(tree, indent=drawn.choice([None, 1]))
    while drawn.random() < 0.3:
        text = mutate_text(text, drawn)
    return text


def read_or_refused(text: str) -> bool:
    """Return whether a text is read, and fail unless it is that or refused with sentences."""
    try:
        architecture = read_architecture(text, "net.json")
    except SpecError as error:
        assert 1 <= len(error.problems) <= 21
        for line in str(error).split("\n"):
            assert line.startswith("net.json")
            assert len(line) < 2_000
            assert line.isprintable()
        return False
    again = read_architecture(architecture.to_json(), "again.json")
    assert again == architecture
    return True


@settings(
    max_examples=100_000 if THOROUGH else 1_000, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(st.integers(0, 2**64))
def test_mutated_specs(seed):
    for offset in range(10):
        read_or_refused(mutated(seed + offset))


def test_the_mutations_are_of_both_kinds():
    read = sum(read_or_refused(mutated(seed)) for seed in range(1000))
    assert 50 < read < 950


# Too much of everything


LARGE = {
    "layers": [{"type": "conv2d", "out_channels": 16384, "kernel_size": 3, "padding": 1}] * 1000,
    "activations": [{"type": "upsampling", "out_channels": 60000, "kernel_size": 1, "scale_factor": 1}] * 1000,
    "inside": [{"type": "sequential", "layers": [{"type": "conv2d", "out_channels": 16384, "kernel_size": 1}] * 10}]
    * 100,
    "repeated": [
        {"type": "repeat", "times": 1000, "layers": [{"type": "conv2d", "out_channels": 16384, "kernel_size": 1}]}
    ],
    "powers": [{"type": "upsampling", "out_channels": 3, "kernel_size": 1, "scale_factor": 16}] * 8,
}


@pytest.mark.parametrize("layers", LARGE.values(), ids=LARGE)
def test_a_terabyte_is_refused_with_little_work_and_in_little_memory(layers, at_most):
    tree = {"format": 1, "name": "large", "input": {"channels": 3, "height": 32, "width": 32}, "layers": layers}
    text = json.dumps(tree)
    read_or_refused(json.dumps(TREES[0]))  # whatever is made once
    with at_most(500_000), pytest.raises(SpecError, match="at most"):
        load_architecture(text)
    tracemalloc.start()
    with pytest.raises(SpecError):
        load_architecture(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
