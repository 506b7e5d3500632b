"""The loader that turns JSON into a valid architecture, for files, strings, overrides and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from layerkit.builtin.layers.repeat import MAX_LAYERS
from layerkit.contracts.registered import AnyNoise
from layerkit.contracts.specs import NoiseSpec, StrictModel
from layerkit.disk import why_unreadable
from layerkit.errors import Problem, ShapeError, SpecError
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.spec import text as jsontext
from layerkit.spec.agreement import disagreements
from layerkit.spec.architecture import Architecture, Input, Training
from layerkit.spec.constants import DEFINE, Expanded, expand, from_constant
from layerkit.spec.diagnosis import at_most_twenty, kind_around, problems_of
from layerkit.spec.overrides import apply_overrides, overridden_at
from layerkit.spec.requirements import readable_requirements
from layerkit.spec.tracing import Step, check_affordable, trace, written_layers
from layerkit.spec.unread import UnreadTraining
from layerkit.wording import show

TRAINING = "training"
DEFAULT = Path(__file__).with_name("default.json")
"""The file of the network that comes with layerkit."""
ALONE = Path(__file__).with_name("alone.json")
"""The file of the network that is trained on the one picture that it is to denoise."""


def load_architecture(
    source: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    catalogue: Catalogue | None = None,
    data: str | Path | None = None,
) -> Architecture:
    """Return the architecture that a file, or a JSON text, declares.

    All names, values, shapes and sizes are checked: the returned architecture can be built, and trained if it has a
    ``training`` block.

    Args:
        source: the path of a file, or a text that begins with ``{``.
        overrides: values by path that replace those of the file, such as ``{"training.optimizer.lr": 0.5}``.
        catalogue: the components that may be named; by default everything installed.
        data: the name or path of training data; if given, the network is also checked for being trainable on them.

    Raises:
        SpecError: with every mistake that was found, up to twenty.
        DataError: when there are no such data.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return read_architecture(source, "<text>", overrides=overrides, catalogue=catalogue, data=data)
    text = jsontext.decode(read_bytes(Path(source)), str(source))
    return read_architecture(text, str(source), overrides=overrides, catalogue=catalogue, data=data)


def read_architecture(
    text: str,
    source: str,
    *,
    overrides: Mapping[str, Any] | None = None,
    catalogue: Catalogue | None = None,
    data: str | Path | None = None,
) -> Architecture:
    """Return the architecture that a JSON text declares; ``source`` is the name of the text in errors.

    Raises:
        SpecError: with every mistake that was found, up to twenty.
        DataError: when there are no such ``data``.
    """
    catalogue = catalogue or installed()
    tree = jsontext.parse(text, source)
    try:
        return _checked(expand(apply_overrides(tree, overrides or {})), catalogue, data)
    except SpecError as error:
        raise located(error, text, source, overrides or {}) from None


def read_network(text: str, source: str, *, catalogue: Catalogue | None = None) -> Architecture:
    """Return the architecture that a JSON text declares, even if its ``training`` block cannot be read.

    A ``training`` block with mistakes becomes the architecture's
    :attr:`~layerkit.spec.architecture.Architecture.unread_training`. Typical mistakes are components that no installed
    package provides, and a block that does not fit the network.

    Raises:
        SpecError: with every mistake that was found, up to twenty, when the network itself has mistakes.
    """
    catalogue = catalogue or installed()
    try:
        return read_architecture(text, source, catalogue=catalogue)
    except SpecError as error:
        mistakes = error
    try:
        expanded = expand(jsontext.parse(text, source))
        if not isinstance(expanded.tree, dict) or TRAINING not in expanded.tree:
            raise mistakes
        architecture = _checked(_without_training(expanded), catalogue)
    except SpecError as error:
        # Shapes are checked only when all values are valid, so mistakes in the block may have hidden this one.
        hidden = all(problem.path[:1] == (TRAINING,) for problem in mistakes.problems)
        raise (located(error, text, source, {}) if hidden else mistakes) from None
    training = expanded.tree[TRAINING]
    return architecture.with_unread_training(UnreadTraining(training, mistakes.problems, _noise(training, catalogue)))


def _without_training(expanded: Expanded) -> Expanded:
    return expanded._replace(
        tree={key: value for key, value in expanded.tree.items() if key != TRAINING},
        problems=tuple(problem for problem in expanded.problems if problem.path[:1] != (TRAINING,)),
    )


def _noise(training: Any, catalogue: Catalogue) -> NoiseSpec | None:
    """Return the noise of a ``training`` block, or None where it cannot be read."""
    if not isinstance(training, dict) or "noise" not in training:
        return None
    try:
        return _NOISE.validate_json(json.dumps(training["noise"]), context=catalogue)
    except ValidationError:
        return None


_NOISE: TypeAdapter[NoiseSpec] = TypeAdapter(AnyNoise)


def _checked(expanded: Expanded, catalogue: Catalogue, data: str | Path | None = None) -> Architecture:
    architecture = _validate(expanded, catalogue)
    steps = _traced(architecture, expanded.tree)
    if architecture.training is not None:
        found = disagreements(architecture.training, architecture.input, steps, data)
        if found:
            raise SpecError(found)
    _check_saved_form(architecture)
    return architecture


def read_bytes(path: Path) -> bytes:
    """Return a spec file's bytes; of a file that is too long, only a few more bytes than are allowed.

    Raises:
        SpecError: when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(jsontext.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SpecError((Problem(f"cannot be read: {why_unreadable(error)}", source=str(path)),)) from None


def _validate(expanded: Expanded, catalogue: Catalogue) -> Architecture:
    tree, used, known = expanded
    if not isinstance(tree, dict):
        raise SpecError((Problem(f"expected an object {{...}} with a network, got {show(tree)}"),))
    layers = written_layers(tree)
    if layers > MAX_LAYERS:
        message = f"with nested layers these are {layers:,} layers; at most {MAX_LAYERS:,} are built"
        raise SpecError((Problem(message, ("layers",)),))
    catalogue = replace(catalogue, requires=readable_requirements(tree.get("requires")))
    try:
        architecture = Architecture.model_validate_json(json.dumps(tree), context=catalogue)
    except ValidationError as error:
        problems = problems_of(error, tree, lambda path: _fields(tree, path, catalogue), known)
        raise SpecError(tuple(_with_constant(problem, used) for problem in problems)) from None
    if known:
        raise SpecError(at_most_twenty(list(known), len(known)))
    return architecture


def _with_constant(problem: Problem, used: Mapping[jsontext.Path, str]) -> Problem:
    if problem.path not in used:
        return problem
    return replace(problem, message=f"{problem.message} {from_constant(used[problem.path])}")


def _fields(tree: Any, path: jsontext.Path, catalogue: Catalogue) -> list[str]:
    """Return the names of the fields that the object at ``path`` may have."""
    models: dict[jsontext.Path, type[StrictModel]] = {(): Architecture, ("input",): Input, (TRAINING,): Training}
    own = models.get(path)
    if own is not None:
        names = [field.alias or name for name, field in own.model_fields.items()]
        return names if path else [*names, DEFINE]
    kind = kind_around(tree, path)
    return [name for component in catalogue.find(kind or "") for name in component.spec.model_fields]


def _traced(architecture: Architecture, tree: Any) -> list[Step]:
    """Return the network's layers with their shapes.

    Raises:
        SpecError: when the shapes do not fit each other, or the network is too large.
    """
    try:
        steps = trace(architecture.network, architecture.input.shape)
        check_affordable(steps)
        return steps
    except ShapeError as error:
        raise SpecError((Problem(error.message, error.path, kind_around(tree, error.path)),)) from None


def _check_saved_form(architecture: Architecture) -> None:
    """Refuse an architecture whose checkpoint could not be loaded, because its text is too long with every default."""
    try:
        jsontext.check_size(architecture.to_json(), "")
    except SpecError as error:
        message = f"as it is saved, with every default written out: {error.problems[0].message}"
        raise SpecError((Problem(message),)) from None


def located(error: SpecError, text: str, source: str, overrides: Mapping[str, Any]) -> SpecError:
    """Return the error with the file, line and column of each problem, in the order of the file."""
    places = jsontext.places(text)
    problems = []
    for problem in error.problems:
        if problem.source != Problem.source:  # a value from outside the text, whose problem already has a place
            problems.append(problem)
            continue
        override = overridden_at(problem.path, overrides)
        if override is not None:
            problems.append(problem.at(f"{source} with {override}", None, None))
            continue
        path = problem.path
        while path not in places:
            path = path[:-1]
        place = jsontext.line_and_column(text, places[path]) if problem.path else (None, None)
        problems.append(problem.at(source, *place))
    return SpecError(tuple(sorted(problems, key=lambda problem: (problem.line or 10**9, problem.column or 0))))
