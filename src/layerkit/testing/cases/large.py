"""Large cases: few for each component, beside many small ones, and each with something that only size shows.

What is wrong only for the 64th channel, a batch of more than 32, a kernel of 5 or a loss over 1,000 values is right in
every small case. So sizes cross such bounds here, and in return the checks look less closely: one directional
derivative shows an error in a single one of many values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from layerkit.contracts.specs import LayerSpec, Shape, Spec
from layerkit.testing.cases.case import Case, LayerCase, LossCase, NoiseCase, OptimizerCase, ScheduleCase
from layerkit.testing.cases.legal import legal_shape
from layerkit.testing.cases.strategies import (
    DEPTH,
    SEEDS,
    Choice,
    accepts,
    first_accepted,
    possible_ranks,
    refuse,
    valid_configurations,
)
from layerkit.testing.cases.subjects import Subject

MOST_VALUES = 60_000
"""The input and the output of a large case have at most this many values each, the batch included."""
MOST_MULTIPLICATIONS = 2e7

Sizes = tuple[int, int, tuple[int, ...]]
"""A batch size, a number of channels, and sides that are repeated as often as there are dimensions."""
SIZES: tuple[Sizes, ...] = (
    (40, 3, (6, 5)),
    (16, 70, (4, 3)),
    (16, 16, (16, 16)),
    (2, 3, (41, 26)),
    (67, 2, (3, 9)),
    (48, 5, (12, 5)),
    (32, 130, (3, 4)),
    (2, 2, (9, 130)),
    (64, 4, (8, 8)),
    (1, 1, (67, 67)),
    (33, 65, (3, 2)),
)
FEATURES = (5, 70, 500, 1030, 129)
"""Numbers of features, for samples of one dimension."""
LOSS_SHAPES: tuple[Shape, ...] = ((40, 3, 9, 7), (2, 1030), (33, 1, 12, 12), (1, 1, 67, 41), (67, 16), (16, 70, 3, 3))
PARAMETER_SHAPES: tuple[tuple[Shape, ...], ...] = (
    ((70, 33), (5, 3, 7, 7), (1,)),
    ((1030,), ()),
    ((3,),) * 70,
    ((64, 64), (64,), (10, 64)),
)
PICTURES: tuple[Shape, ...] = ((40, 3, 9, 7), (2, 1, 41, 26), (67, 2, 3, 9), (3, 70, 4, 3), (16, 3, 16, 16))
STEPS = (1000, 365, 640, 2049)
"""Steps of a long training."""
BOUNDS = (8, 16, 33, 64, 100, 129, 256, 500, 1024)
"""What is done in parts is done in parts of such sizes, and another way is taken beyond them."""
COMMON = (5, 7)
"""Kernels that are used, and that small cases seldom have."""


def large_cases(subject: Subject, unfit: list[str] | None, choice: Choice) -> st.SearchStrategy[Case[Spec]]:
    """Return a strategy for the large cases of a component of any kind."""
    draw = {
        "layer": _layer_cases,
        "loss": _loss_cases,
        "optimizer": _optimizer_cases,
        "noise": _noise_cases,
        "schedule": _schedule_cases,
    }
    return draw[subject.kind](subject, unfit, choice)


@st.composite
def _layer_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> LayerCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    spec = subject.read(configuration)
    assert isinstance(spec, LayerSpec)
    batch, channels, sides = draw(st.sampled_from(SIZES))
    if spec.sample_shapes:
        shape: Shape | None = draw(st.sampled_from(spec.sample_shapes))
    else:
        ranks = next(possible_ranks(spec), None) or refuse("no shape was accepted", unfit)
        rank = draw(st.sampled_from([*ranks[:1] * 4, *ranks]))
        if rank == 1:
            channels = draw(st.sampled_from(FEATURES))
        sizes = (channels, *(sides * 2)[: rank - 1])
        shape = first_accepted(spec, sizes) or legal_shape(spec, sizes)
    if shape is None:
        refuse("no large shape was accepted", None)
    case = LayerCase(subject, configuration, draw(SEEDS), shape, max(2, batch))
    return case if _is_affordable(case) else refuse("it is too large", None)


def _is_affordable(case: LayerCase) -> bool:
    spec, shape = case.spec, case.input_shape
    output = spec.output_shape(shape)
    if case.batch * max(math.prod(shape), math.prod(output)) > MOST_VALUES:
        return False
    # A stranger may not say how many multiplications it makes: each weight one at each place.
    weighted = spec.parameter_count(shape) * math.prod(output[1:])
    return case.batch * max(spec.multiply_adds(shape), weighted) <= MOST_MULTIPLICATIONS


@st.composite
def _loss_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> LossCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    return LossCase(subject, configuration, draw(SEEDS), draw(st.sampled_from(LOSS_SHAPES)))


@st.composite
def _optimizer_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> OptimizerCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    return OptimizerCase(subject, configuration, draw(SEEDS), draw(st.sampled_from(PARAMETER_SHAPES)))


@st.composite
def _noise_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> NoiseCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    return NoiseCase(subject, configuration, draw(SEEDS), draw(st.sampled_from(PICTURES)))


@st.composite
def _schedule_cases(draw: st.DrawFn, subject: Subject, unfit: list[str] | None, choice: Choice) -> ScheduleCase:
    configuration = draw(valid_configurations(subject, DEPTH, unfit, choice))
    return ScheduleCase(subject, configuration, draw(SEEDS), draw(st.sampled_from(STEPS)))


# Which of the drawn cases are taken


def covering(found: list[Case[Spec]], count: int) -> list[Case[Spec]]:
    """Return ``count`` cases, one after the other the one that shows most of what those before it do not."""
    left = {str(case): (case, _features(case)) for case in found}
    chosen: list[Case[Spec]] = []
    seen: set[Any] = set()
    while left and len(chosen) < count:
        key = max(left, key=lambda key: len(left[key][1] - seen))
        case, features = left.pop(key)
        chosen.append(case)
        seen |= features
    return chosen


def _features(case: Case[Spec]) -> set[Any]:
    """Return what is to be seen in a case: which bounds each number is beyond, and which of them are equal."""
    found = set(_numbers_in((), case.configuration))
    if not isinstance(case, LayerCase):
        return found | {tuple(getattr(case, name) for name in case.shapes)}
    channels, *sides = case.input_shape
    found |= {("batch", bound) for bound in BOUNDS if case.batch >= bound} | {("batch of slices", case.batch % 16 == 0)}
    found |= {("channels" if sides else "features", bound) for bound in BOUNDS if channels >= bound}
    found |= {("side", index, bound) for index, side in enumerate(sides) for bound in BOUNDS if side >= bound}
    return found | {("equal", len(sides), len({channels, *sides}), len(set(sides)))}


def _numbers_in(path: tuple[Any, ...], value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers_in((*path, key), inner)
    elif isinstance(value, list | tuple):
        yield (*path, "equal", len(value), len(set(map(str, value))) < len(value))
        for index, inner in enumerate(value[:4]):
            yield from _numbers_in((*path, index), inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ((*path, "beyond", bound) for bound in BOUNDS if value >= bound)
        if value in COMMON:
            yield from ((*path, value, worth) for worth in range(len(BOUNDS)))  # as much as a large number
    elif not isinstance(value, float):
        yield (*path, value)


def smaller(case: Case[Spec]) -> Iterator[Case[Spec]]:
    """Yield cases with one size less than that of a large one, the smallest first."""
    for name in case.shapes:
        value = getattr(case, name)
        for changed in _smaller_sizes(value):
            candidate = replace(case, **{name: changed})
            if not isinstance(candidate, LayerCase) or accepts(candidate.spec, candidate.input_shape):
                yield candidate


def _smaller_sizes(value: Any) -> Iterator[Any]:
    if isinstance(value, int):
        yield from dict.fromkeys(size for size in (value // 2, value * 3 // 4, value - 1) if size >= 1)
    else:
        for index, inner in enumerate(value):
            yield from ((*value[:index], changed, *value[index + 1 :]) for changed in _smaller_sizes(inner))
