"""A coverage-guided fuzzer over the loader of specs; no test needs it.

    pip install atheris
    python tests/fuzz/fuzz_loader.py CORPUS [-max_total_time=600] [any other option of libFuzzer]

CORPUS is a folder: what is in it is where the search begins, and what covers new lines is added. An empty one is filled
with the project's architectures. A crash is an input that is neither read nor refused with a sentence.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["layerkit", "json"]):
    import json

    from layerkit.errors import SpecError
    from layerkit.registry.catalogue import installed
    from layerkit.spec import text as jsontext
    from layerkit.spec.loading import read_architecture

ROOT = Path(__file__).parents[2]
CATALOGUE = installed()


def read_or_refused(data: bytes) -> None:
    """Read one input as the loader reads a file."""
    try:
        architecture = read_architecture(jsontext.decode(data, "net.json"), "net.json", catalogue=CATALOGUE)
    except SpecError as error:
        str(error)
    else:
        assert read_architecture(architecture.to_json(), "again.json", catalogue=CATALOGUE) == architecture


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Return a change of one input: bytes as libFuzzer changes them, or a piece of one spec in the place of another."""
    drawn = random.Random(seed)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        tree = None
    places = _places(tree)
    if not places or drawn.random() < 0.4:
        return atheris.Mutate(data, max_size)
    pieces = [*_places(json.loads(drawn.choice(list(SEEDS.values())))), *places]
    (container, key), (other, other_key) = drawn.choice(places), drawn.choice(pieces)
    container[key] = other[other_key]
    try:
        return json.dumps(tree).encode()[:max_size]
    except (ValueError, RecursionError):  # a piece inside itself
        return atheris.Mutate(data, max_size)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every place in a tree as (container, key)."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in [(tree, key), *_places(tree[key])]]


def seeds() -> dict[str, bytes]:
    """Return the inputs to begin with: the project's architectures, and a small one with each installed component."""
    texts = {path.name: path.read_bytes() for path in sorted((ROOT / "architectures").glob("*.json"))}
    for component in CATALOGUE.of_kind("layer"):
        tree = {
            "format": 1,
            "name": component.name,
            "input": {"channels": 4, "height": 8, "width": 8},
            "layers": [component.example],
        }
        texts[f"{component.name}.json"] = json.dumps(tree).encode()
    return texts


SEEDS = seeds()


def main() -> None:
    """Fill the corpus if it is empty, and search."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if not folders:
        sys.exit(__doc__)
    folders[0].mkdir(parents=True, exist_ok=True)
    if not any(folders[0].iterdir()):
        for name, data in SEEDS.items():
            (folders[0] / name).write_bytes(data)
    atheris.Setup(sys.argv, read_or_refused, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
