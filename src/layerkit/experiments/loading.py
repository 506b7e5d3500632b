"""Turns JSON into a valid experiment, or reports every mistake with its place."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from layerkit.errors import Problem, SpecError
from layerkit.experiments.experiment import Experiment
from layerkit.spec import text as jsontext
from layerkit.spec.diagnosis import problems_of
from layerkit.spec.loading import located, read_bytes
from layerkit.wording import show


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment with its JSON text, so that mistakes that are found later still have their place."""

    path: Path
    text: str
    experiment: Experiment

    def base(self, name: str) -> Path:
        """Return the path of an architecture that the experiment names, at most one folder above the file.

        Symbolic links are followed, because the owner of the folder made them, and not the file.
        """
        return self.path.parent / name

    def error(self, *problems: Problem) -> SpecError:
        """Return the error of these problems with their places in the file."""
        return located(SpecError(problems), self.text, str(self.path), {})


def is_experiment(tree: Any) -> bool:
    """Return whether a JSON value is meant as an experiment: it names an architecture and has no ``layers``."""
    return isinstance(tree, dict) and "layers" not in tree and not tree.keys().isdisjoint({"base", "figure", "vary"})


def load_experiment(path: str | Path) -> ExperimentFile:
    """Return the experiment in a file; the architectures that it names are not read yet.

    Raises:
        SpecError: with every mistake that was found, up to twenty.
    """
    path = Path(path)
    text = jsontext.decode(read_bytes(path), str(path))
    tree = jsontext.parse(text, str(path))
    if not isinstance(tree, dict):
        raise SpecError(
            (Problem(f"expected an object {{...}} with an experiment, got {show(tree)}", source=str(path)),)
        )
    try:
        experiment = Experiment.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        problems = problems_of(error, tree, lambda at: _fields(tree, at))
        raise located(SpecError(problems), text, str(path), {}) from None
    return ExperimentFile(path, text, experiment)


def _fields(tree: Any, path: jsontext.Path) -> list[str]:
    """Return the names of the fields that the object at ``path`` may have."""
    model: Any = Experiment
    for key in path:
        if isinstance(key, int):
            continue
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or key not in model.model_fields:
            return []
        annotation = model.model_fields[key].annotation
        inner = [part for part in (annotation, *typing.get_args(annotation)) if isinstance(part, type)]
        model = next((part for part in inner if issubclass(part, BaseModel)), None)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
