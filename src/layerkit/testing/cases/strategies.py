"""Hypothesis strategies for specs and what they are tried on, drawn from the specs' own ranges.

    @given(layer_cases("conv2d"))
    def test_something(case): ...

Names and spec classes are both taken. What is drawn is small, so that whatever is done with it is quick, and what
cannot be valid is not drawn: a configuration that the spec refuses, or a shape that it does not accept, is drawn anew.
Large cases are drawn in :mod:`layerkit.testing.cases.large`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any, Literal, NoReturn

import pydantic
from hypothesis import reject
from hypothesis import strategies as st

from layerkit.contracts.registered import REGISTERED
from layerkit.contracts.specs import KindName, LayerSpec, Shape, Spec
from layerkit.errors import ShapeError, UserError
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.testing.cases.case import Case, LayerCase, LossCase, NoiseCase, OptimizerCase, ScheduleCase
from layerkit.testing.cases.legal import legal_configuration, legal_shape, refusal_of
from layerkit.testing.cases.schema_values import SchemaValues
from layerkit.testing.cases.subjects import Subject, schema_of, subjects

DEPTH = 2
"""Containers hold layers, and these may be containers again, down to this many levels."""
RANKS = (3, 1, 2, 4)
"""Dimensions of a sample: pictures, features, sequences, volumes."""
LARGEST = 7

Choice = Literal["small", "wide", "typical"]
"""Which configurations are drawn: near the lower ends of the fields' ranges, also far above them, or the example."""


def subject_of(what: str | type[Spec] | Subject, catalogue: Catalogue | None = None) -> Subject:
    """Return the one component that ``what`` names.

    Raises:
        UserError: when that is none, or several.
    """
    if isinstance(what, Subject):
        return what
    found = subjects([what], catalogue)
    if len(found) != 1:
        raise UserError(f'"{what}" names {len(found)} components; give a spec class instead')
    return found[0]


# Configurations


def configurations(what: str | type[Spec] | Subject, depth: int = DEPTH) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for valid configurations of a component, as JSON objects."""
    return valid_configurations(subject_of(what), depth)


def specs(what: str | type[Spec] | Subject, depth: int = DEPTH) -> st.SearchStrategy[Spec]:
    """Return a strategy for specs of a component."""
    subject = subject_of(what)
    return valid_configurations(subject, depth).map(subject.read)


def registered_specs(kind: KindName) -> st.SearchStrategy[Spec]:
    """Return a strategy for specs of every registered component of one kind."""
    catalogue = installed()
    names = catalogue.names(kind)
    return st.one_of(*(specs(Subject(catalogue.components[kind, name], catalogue)) for name in names))


@st.composite
def valid_configurations(
    draw: st.DrawFn, subject: Subject, depth: int, unfit: list[str] | None = None, choice: Choice = "small"
) -> dict[str, Any]:
    """Draw a configuration that the spec accepts; ``unfit`` is added the reason why another one is not used."""
    if choice == "typical":
        configuration = subject.example
    else:
        configuration = draw_configuration(draw, subject, depth, wide=choice == "wide")
    try:
        subject.read(configuration)
        return configuration
    except pydantic.ValidationError:
        kept = draw(st.sampled_from(list(configuration)))
    except Exception as error:
        refuse(f"{type(error).__name__}: {error}; a spec refuses with a ValueError", unfit)
    try:
        return legal_configuration(subject, configuration, kept)
    except pydantic.ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        refuse(f"{where and where + ': '}{detail['msg']}; give the spec an example that is valid", unfit)


def refuse(reason: str, unfit: list[str] | None) -> NoReturn:
    """Draw something else; ``unfit`` is added the reason."""
    if unfit is not None:
        unfit.append(reason)
    reject()


def draw_configuration(draw: st.DrawFn, subject: Subject, depth: int = DEPTH, wide: bool = False) -> dict[str, Any]:
    """Return a configuration that keeps every range of the fields; whether they go together is not known yet."""
    schema = schema_of(subject.spec)

    def component(draw: st.DrawFn, kind: KindName) -> dict[str, Any]:
        return _draw_component(draw, kind, subject.catalogue, depth - 1)

    values = SchemaValues(schema.get("$defs", {}), component, wide)
    drawn = values.draw_object(draw, schema)
    # A typical use is worth trying too, for ranges are wide and what is used in them is not.
    example = {name: value for name, value in subject.example.items() if name in schema["properties"]}
    often = st.booleans() if subject.kind != "layer" else _NOW_AND_THEN
    if subject.spec.example and bool(draw(often)):
        drawn |= example
    return {"type": subject.name} | {name: value for name, value in drawn.items() if name != "type"}


_NOW_AND_THEN = st.sampled_from([False] * 7 + [True])


def _draw_component(draw: st.DrawFn, kind: KindName, catalogue: Catalogue, depth: int) -> dict[str, Any]:
    components = [component for (its, _), component in sorted(catalogue.components.items()) if its == kind]
    if depth <= 0:
        components = [component for component in components if not _holds_components(component.spec)]
    # Half of the time one that keeps every shape, since many containers take no other.
    keepers = [component for component in components if kind == "layer" and _keeps_shapes(component.spec)]
    if bool(keepers) and draw(st.booleans()):
        components = keepers
    component = draw(st.sampled_from(components))
    return draw_configuration(draw, Subject(component, catalogue), depth)


@cache
def _holds_components(spec: type[Spec]) -> bool:
    return REGISTERED in str(schema_of(spec))


@cache
def _keeps_shapes(spec: type[LayerSpec]) -> bool:
    """Return whether a typical layer of this class gives back the shape it takes."""
    try:
        shape = 2, 5, 6
        return not _holds_components(spec) and spec.model_validate({"type": spec.name()}).output_shape(shape) == shape
    except (pydantic.ValidationError, ShapeError):
        return False


# Shapes


def input_shapes(spec: LayerSpec) -> st.SearchStrategy[Shape]:
    """Return a strategy for the shapes of one sample that ``spec`` accepts.

    Pairwise different sizes are preferred, so that a transposed gradient cannot hide, but oblong ones, squares, cubes
    and sizes of 1 are among them.
    """
    return _input_shapes(spec)


@st.composite
def _input_shapes(draw: st.DrawFn, spec: LayerSpec, unfit: list[str] | None = None) -> Shape:
    if spec.sample_shapes:
        return draw(st.sampled_from(spec.sample_shapes))
    for ranks in possible_ranks(spec):
        # Pictures twice, as they are what most layers are for.
        rank = draw(st.sampled_from([*ranks[:1], *ranks]))
        sizes = draw_sizes(draw, rank)
        shape = first_accepted(spec, sizes) or legal_shape(spec, sizes)
        if shape:
            return shape
    refuse(untaken(spec, (3,) * RANKS[0]), unfit)


def untaken(spec: LayerSpec, shape: Shape) -> str:
    """Return why no shape was found that a spec takes, and what to do about it."""
    said = refusal_of(spec, shape)
    return f"output_shape takes no shape that was tried, and says for {shape}: {said}; give the spec sample_shapes"


def possible_ranks(spec: LayerSpec) -> Iterator[tuple[int, ...]]:
    """Yield how many dimensions a sample may have: as a typical layer of the class takes it, then as this one does.

    To find that out takes hundreds of shapes, and mostly it is the same for all of a class.
    """
    if usual := _usual_ranks(type(spec)):
        yield usual
    own = _ranks(spec) or tuple(rank for rank in RANKS if legal_shape(spec, (3,) * rank))
    if own and own != usual:
        yield own


@cache
def _usual_ranks(spec: type[LayerSpec]) -> tuple[int, ...]:
    try:
        return _ranks(spec.model_validate_json(json.dumps({"type": spec.name()} | spec.example)))
    except Exception:  # it holds other components, or its author has made a mistake that is found elsewhere
        return ()


def _ranks(spec: LayerSpec) -> tuple[int, ...]:
    return tuple(rank for rank in RANKS if first_accepted(spec, (2,) * rank) or first_accepted(spec, (3,) * rank))


def draw_sizes(draw: st.DrawFn, rank: int) -> Shape:
    """Return sizes that are, on purpose, all different, oblong, square, all equal, or with ones among them."""
    look = draw(st.sampled_from(["any", "different", "oblong", "different", "square", "equal", "different", "oblong"]))
    match look:
        case "equal":
            return (draw(st.integers(2, LARGEST)),) * rank
        case "any":
            largest = draw(st.sampled_from([LARGEST, LARGEST, LARGEST, 2 * LARGEST]))
            return tuple(draw(st.integers(1, largest)) for _ in range(rank))
    sizes = list(draw(st.permutations(range(2, LARGEST + 1)))[:rank])
    if look == "square":
        sizes[1:] = sizes[-1:] * (rank - 1)
    elif look == "oblong":
        sizes[draw(st.integers(0, rank - 1))] += LARGEST
    return tuple(sizes)


def first_accepted(spec: LayerSpec, shape: Shape) -> Shape | None:
    """Return ``shape``, or the first that ``spec`` accepts of those that grow out of it."""
    return next((grown for grown in islice(_growing(shape), 48) if accepts(spec, grown)), None)


def _growing(shape: Shape) -> Iterator[Shape]:
    yield shape
    channels, *sides = shape
    for step in range(1, 13):
        yield channels, *(side + step for side in sides)
        yield channels * step, *sides
        yield channels * step, *(side + (-side) % step for side in sides)
    for step in (16, 32, 64):
        yield channels, *(side + (-side) % step for side in sides)


def accepts(spec: LayerSpec, shape: Shape) -> bool:
    """Return whether ``spec`` takes samples of ``shape`` and makes something of them."""
    return not refusal_of(spec, shape)


# Cases


def cases(
    what: str | type[Spec] | Subject, unfit: list[str] | None = None, choice: Choice = "small"
) -> st.SearchStrategy[Case[Spec]]:
    """Return a strategy for the small cases that a component of any kind is tried on.

    Args:
        what: the component.
        unfit: is added the reason why something drawn is not valid, each time it happens.
        choice: of the configurations.
    """
    subject = subject_of(what)
    draw = {
        "layer": _layer_cases,
        "loss": _loss_cases,
        "optimizer": _optimizer_cases,
        "noise": _noise_cases,
        "schedule": _schedule_cases,
    }
    return draw[subject.kind](subject, unfit, choice)


def layer_cases(what: str | type[Spec] | Subject) -> st.SearchStrategy[LayerCase]:
    """Return a strategy for a layer's configuration with a shape of its input, a batch size and a seed."""
    return _layer_cases(subject_of(what), None, "small")


@st.composite
def _layer_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> LayerCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    spec = subject.read(configuration)
    assert isinstance(spec, LayerSpec)
    shape = draw(_input_shapes(spec, unfit))
    batch = draw(st.sampled_from([2, 3, 1, 2, 3, 5, 2, 3, 1, 2, 3, 2, 3, 2, 17]))
    case = LayerCase(subject, configuration, draw(SEEDS), shape, batch)
    # One sample of one pixel has no spread; a layer that mixes the batch may need more than one sample.
    return replace(case, batch=max(2, batch)) if case.declares("mixes_batch") else case


@st.composite
def _loss_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> LossCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=4)))
    return LossCase(subject, configuration, draw(SEEDS), shape)


@st.composite
def _optimizer_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> OptimizerCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    shapes = draw(st.lists(st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple), min_size=1, max_size=3))
    return OptimizerCase(subject, configuration, draw(SEEDS), tuple(shapes))


@st.composite
def _noise_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> NoiseCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    shape = draw(st.tuples(st.integers(1, 3), st.sampled_from([1, 3, 2]), st.integers(1, 7), st.integers(1, 7)))
    return NoiseCase(subject, configuration, draw(SEEDS), shape)


@st.composite
def _schedule_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> ScheduleCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    return ScheduleCase(subject, configuration, draw(SEEDS), draw(st.integers(1, 40)))


SEEDS = st.integers(0, 2**16 - 1)
