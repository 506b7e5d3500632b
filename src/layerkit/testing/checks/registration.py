"""A component's name, its fields, and what it declares about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pydantic

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.registered import REGISTERED
from layerkit.contracts.specs import Spec
from layerkit.errors import PluginError
from layerkit.registry.catalogue import checked_name
from layerkit.testing.cases.case import Case, LayerCase
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.subjects import Subject, schema_of
from layerkit.testing.check import CheckFailed, check, not_applicable, require


@check("layer", "loss", "optimizer", "noise", "schedule", scope="component")
def is_well_described(subject: Subject) -> None:
    """The name has small letters, digits and _ and is unique, and the spec and every field have a description."""
    spec, name = subject.spec, subject.name
    require(re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) is not None, f'"{name}" is not a name of small letters')
    known = subject.catalogue.components.get((subject.kind, name))
    taken = known is not None and known.spec is not spec
    require(not taken, f'the name "{name}" is already that of a {subject.kind} of {known and known.distribution}')
    require(spec.model_fields["type"].is_required(), "the field type has a default")
    require("__doc__" in vars(spec) and bool(spec.__doc__), f"{spec.__name__} has no docstring")
    bare = [field for field, info in spec.model_fields.items() if not info.description]
    require(not bare, f"no description: {', '.join(bare)}")
    config = spec.model_config
    for option, wanted in (("strict", True), ("frozen", True), ("extra", "forbid"), ("allow_inf_nan", False)):
        require(
            config.get(option) == wanted, f"the model's {option} is {config.get(option)!r} and should be {wanted!r}"
        )


@check("layer", "loss", "optimizer", "noise", "schedule", scope="component")
def catalogue_takes_it(subject: Subject) -> None:
    """The catalogue of what is installed takes the component; otherwise it would leave out the whole plugin."""
    try:
        checked_name(subject.spec, KINDS[subject.kind])
    except PluginError as error:
        raise CheckFailed(f"layerkit would load no component of a plugin with this one: {error}") from None


@check("layer", "loss", "optimizer", "noise", "schedule", scope="component")
def example_is_valid(subject: Subject) -> None:
    """The spec's ``example`` is valid."""
    if not subject.spec.example:
        not_applicable("the spec has no example")
    configuration = subject.example
    try:
        subject.read(configuration)
    except pydantic.ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        raise CheckFailed(f"the example {json.dumps(configuration)} is refused at {where}: {detail['msg']}") from None


@check("layer", "loss", "optimizer", "noise", "schedule", scope="examples")
def cases_can_be_drawn(examples: Examples) -> None:
    """Valid configurations, and sizes that go with them, can be drawn from the fields' ranges and the example."""
    reason = examples.why_none()
    require(not reason, reason)


@check("layer", "loss", "optimizer", "noise", "schedule")
def json_round_trips(case: Case[Spec]) -> None:
    """From JSON to the spec and back is a fixed point, and a spec is frozen."""
    spec = case.spec
    text = spec.model_dump_json(by_alias=True)
    again = case.subject.read(json.loads(text))
    require(again == spec, f"read from its own JSON {text} the spec is another")
    require(again.model_dump_json(by_alias=True) == text, f"the JSON of the spec read from {text} is another")
    written = json.loads(text)
    for name, value in case.configuration.items():
        kept = name in written and _contains(written[name], value)
        require(kept, f"{name} was given as {json.dumps(value)} and written as {json.dumps(written.get(name))}")
    field = next(iter(case.configuration))
    try:
        setattr(spec, field, None)
    except (pydantic.ValidationError, AttributeError, TypeError):
        return
    raise CheckFailed("a field of the spec can be set; specs are frozen")


def _contains(written: Any, given: Any) -> bool:
    """Return whether what was written says what was given; defaults may have been filled in."""
    if isinstance(given, dict):
        return isinstance(written, dict) and all(k in written and _contains(written[k], v) for k, v in given.items())
    if isinstance(given, list):
        same = isinstance(written, list) and len(written) == len(given)
        return same and all(_contains(w, g) for w, g in zip(written, given, strict=True))
    return bool(written == given)


@check("layer", "loss", "optimizer", "noise", "schedule")
def schema_agrees(case: Case[Spec]) -> None:
    """The JSON Schema accepts what pydantic accepts, and both refuse the same wrong ranges and types."""
    require(case.subject.fits_schema(case.configuration), "the JSON Schema refuses what pydantic takes")
    for path, wrong in _mutations(case.configuration):
        if _accepted(case.subject, wrong) and not case.subject.fits_schema(wrong):
            where, shown = ".".join(map(str, path)), json.dumps(wrong)
            raise CheckFailed(f"pydantic takes {where} in {shown}, and the JSON Schema refuses it")


@check("layer", "loss", "optimizer", "noise", "schedule")
def mistakes_are_refused_at_their_place(case: Case[Spec]) -> None:
    """A wrong type, an unknown or missing key or a number out of range is refused, with the path of the field."""
    for path, wrong in _mutations(case.configuration):
        where = ".".join(map(str, path))
        try:
            case.subject.read(wrong)
        except pydantic.ValidationError as error:
            places = [detail["loc"] for detail in error.errors()]
            if not any(place[:1] == path[:1] or place == () for place in places):
                raise CheckFailed(f"a mistake at {where} is reported at {places[0]}") from None
            continue
        except Exception as error:
            raise CheckFailed(f"{json.dumps(wrong)} raises {type(error).__name__}: {error}") from None
        allowed = path not in ALWAYS_WRONG and case.subject.fits_schema(wrong)
        require(allowed, f"a mistake at {where} is accepted: {json.dumps(wrong)}")
    for number in (float("nan"), float("inf"), -float("inf")):
        for name, value in case.configuration.items():
            if type(value) in (int, float):
                accepted = _accepted(case.subject, case.configuration | {name: number})
                require(not accepted, f"{name} = {number} is accepted")


ALWAYS_WRONG = (("no_such_field",), ("type",))


def _accepted(subject: Subject, configuration: dict[str, Any]) -> bool:
    try:
        subject.read(configuration)
    except pydantic.ValidationError:
        return False
    return True


def _mutations(configuration: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield configurations with one field changed, most of them for the worse, and the path of that field."""
    yield ("no_such_field",), configuration | {"no_such_field": 1}
    yield ("type",), configuration | {"type": "nobody"}
    yield ("type",), {name: value for name, value in configuration.items() if name != "type"}
    for name, value in configuration.items():
        if name == "type" or isinstance(value, dict):
            continue
        others: list[Any] = [str(value), None, [], {}, [value], [value, value, value], True]
        if type(value) in (int, float):
            others += [-value - 1, 0, -1, 10**9, value + 0.5, float(value)]
        for other in others:
            if other != value or isinstance(other, bool) != isinstance(value, bool):
                yield (name,), configuration | {name: other}


@check("layer", share=0.6)
def costs_are_true(case: LayerCase) -> None:
    """``parameter_count`` is the number of learned numbers, and ``inner`` has every layer of a container's fields."""
    spec = case.spec
    declared = spec.parameter_count(case.input_shape)
    real = sum(parameter.numel() for parameter, _ in case.fresh().param())
    require(declared == real, f"parameter_count is {declared}, and the layer has {real}")
    multiply_adds = spec.multiply_adds(case.input_shape)
    require(type(multiply_adds) is int and multiply_adds >= 0, f"multiply_adds is {multiply_adds!r}")
    inside = spec.inner(case.input_shape)
    held = sum(_count_layers(case.configuration[name]) for name in _layer_fields(case) if name in case.configuration)
    require(len(inside) >= held, f"inner has {len(inside)} layers, and the fields hold {held}")
    for path, layer, shape in inside:
        layer.output_shape(shape)
        require(bool(path) and path[0] in type(spec).model_fields, f"inner has the path {path}, which is no field")


def _layer_fields(case: LayerCase) -> list[str]:
    properties = schema_of(case.subject.spec)["properties"]
    return [name for name, field in properties.items() if REGISTERED in str(field)]


def _count_layers(value: Any) -> int:
    return len(value) if isinstance(value, list) else int(isinstance(value, dict))
