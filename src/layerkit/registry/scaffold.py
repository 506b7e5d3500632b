"""The files of a new plugin, ready to install and to test."""

from __future__ import annotations

import json
import keyword
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.specs import KindName
from layerkit.disk import write_atomically
from layerkit.environment import __version__
from layerkit.errors import UserError
from layerkit.registry.catalogue import Catalogue
from layerkit.registry.taken import why_taken

TEMPLATES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "init.py.txt": "src/{package}/__init__.py",
    "{kind}.py.txt": "src/{package}/{component}.py",
    "test_conformance.py.txt": "tests/test_conformance.py",
}
"""The template of each file, and the path at which the file is written."""


class Words(NamedTuple):
    """What the README of a plugin says of a kind of component.

    Attributes:
        sample: the fields of a use of the template's component.
        place: where it stands.
        proven: what the battery looks at.
    """

    sample: dict[str, float]
    place: str
    proven: str


WORDS: dict[KindName, Words] = {
    "layer": Words({"init": 1.0}, "in the `layers`", "shapes, finite differences, state, layouts and more"),
    "loss": Words({"eps": 0.01}, "as `training.loss`", "finite differences, means over a batch, state and more"),
    "optimizer": Words({"lr": 0.1, "momentum": 0.9}, "as `training.optimizer`", "steps in place, resuming and more"),
    "noise": Words({"strength": 0.2}, "as `training.noise`", "the mean, independence, the generator and more"),
    "schedule": Words({"power": 2.0}, "as `training.schedule`", "its range, its ends, torch's own and more"),
}


def write_plugin(name: str, parent: Path, catalogue: Catalogue, kind: KindName = "layer") -> list[Path]:
    """Write a package ``name`` into a new folder of that name in ``parent``, and return its files.

    Args:
        name: of the package, and, without ``layerkit-``, of its one component.
        parent: the folder in which the new one is made.
        catalogue: of the components whose names are taken.
        kind: of the component.

    Raises:
        UserError: when the name is not one for a package or is taken, or the folder exists.
        RunError: when a file cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or len(name) > 60:
        raise UserError(
            f'"{name}" is not a name for a package; use small letters, digits and -, such as layerkit-wavelet'
        )
    package = name.replace("-", "_")
    component = package.removeprefix("layerkit_")
    if keyword.iskeyword(component):
        raise UserError(
            f'"{component}" is a word of Python itself, so no module can have that name; choose another name'
        )
    reason = why_taken(name)
    if reason:
        proposal = "another name" if name.startswith("layerkit") else f"layerkit-{name}"
        raise UserError(f'"{name}" is taken: {reason}, and two packages of one name shadow each other; take {proposal}')
    folder = parent / name
    if folder.exists():
        raise UserError(f"{folder} already exists; choose another name, or remove it")
    taken = catalogue.find(component)
    if taken:
        raise UserError(
            f'"{component}" is the name of {KINDS[taken[0].kind].with_article} of {taken[0].distribution}; '
            "choose another name"
        )
    major, minor = map(int, __version__.split(".")[:2])
    sample, place, proven = WORDS[kind]
    values = {
        "kind": kind,
        "hook": KINDS[kind].hook,
        "base": KINDS[kind].spec.__name__,
        "sample": json.dumps({"type": component, **sample}),
        "place": place,
        "proven": proven,
        "distribution": name,
        "package": package,
        "component": component,
        "class": "".join(part.capitalize() for part in component.split("_")),
        "versions": f">={major}.{minor},<{major}.{minor + 1}",
    }
    written = []
    for template, target in TEMPLATES.items():
        text = files("layerkit.registry").joinpath("template", template.format(kind=kind)).read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace("{{" + key + "}}", value)
        path = folder / target.format(package=package, component=component)
        write_atomically(path, text.encode())
        written.append(path)
    return written
