"""What a component takes, learned from what it refuses.

Ranges of fields and the number of dimensions do not say everything: sides may have to be multiples of 16, a number of
heads must divide the number of channels. What is drawn from the ranges alone would then never fit. A refusal names the
field, or has the number that would fit in its message; what is drawn is changed accordingly until it is taken.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache, partial
from itertools import product
from typing import Any

import pydantic

from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.errors import ShapeError
from layerkit.testing.cases.subjects import Subject

USUAL = (2, 4, 8, 16, 32)
"""Numbers of which sizes must be multiples now and then, without a message that says so."""
MOST_HINTS = 4
"""This many numbers of a message are tried at most."""
LARGEST_HINT = 2048
MOST_VALUES = 20_000
"""A sample has at most this many values, so that it can be tried on."""


def legal_configuration(subject: Subject, drawn: dict[str, Any], kept: str | None = None) -> dict[str, Any]:
    """Return a configuration that keeps what it can of a drawn one and that the spec takes, if one is found.

    A field that is refused gets the value of the spec's ``example``, or its default. Where the spec refuses the fields
    together, all get those of the example, but for the one that is ``kept``.

    Raises:
        pydantic.ValidationError: the refusal of the last one that was tried.
    """
    example = subject.example
    tried = drawn
    for _ in range(3):
        error = _refusal_of(subject, tried)
        if error is None:
            return tried
        refused = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
        tried = {name: value for name, value in tried.items() if name not in refused}
        tried |= {name: value for name, value in example.items() if name in refused or not refused}
        if kept in drawn and not refused:
            tried |= {kept: drawn[kept]}
            kept = None
    subject.read(example if subject.spec.example else drawn)
    return example


def _refusal_of(subject: Subject, configuration: dict[str, Any]) -> pydantic.ValidationError | None:
    try:
        subject.read(configuration)
    except pydantic.ValidationError as error:
        return error
    return None


def refusal_of(spec: LayerSpec, shape: Shape) -> str:
    """Return what a spec says about a shape that it does not take; nothing where it takes it."""
    try:
        output = spec.output_shape(shape)
        return "" if all(size > 0 for size in output) else f"its output has the shape {output}"
    except ShapeError as error:
        return str(error) or "nothing"
    except Exception as error:  # a fault, and has a check of its own
        return f"{type(error).__name__}: {error}"


def legal_shape(spec: LayerSpec, shape: Shape) -> Shape | None:
    """Return a shape with as many dimensions as ``shape`` that the spec takes, if one is found by its messages."""
    waiting, seen = [shape], {shape}
    for _ in range(3):
        further: dict[str, Shape] = {}
        for start in waiting:
            own = refusal_of(spec, start)
            complaint = _plain(own)
            for near in (*_shapes_in(own, len(shape)), *_changed(start, _numbers_in(own, start))):
                if near in seen or math.prod(near) > MOST_VALUES:
                    continue
                seen.add(near)
                message = refusal_of(spec, near)
                if not message:
                    return near
                # Where it complains about something else that is a step further.
                if message != own and (other := _plain(message)) != complaint:
                    further.setdefault(other, near)
        waiting = list(further.values())[:3]
    return None


def _plain(message: str) -> str:
    """Return a message without the numbers in it, of which some are what was given."""
    return re.sub(r"\d+", "", message)


def _shapes_in(message: str, rank: int) -> list[Shape]:
    found = re.findall(r"\d+(?:(?:, ?| ?[xX*] ?)\d+)+|\(\d+,\)", message)
    shapes = [tuple(map(int, re.findall(r"\d+", text))) for text in found]
    return [shape for shape in shapes if len(shape) == rank and 0 not in shape]


def _numbers_in(message: str, given: Shape) -> tuple[int, ...]:
    found = [int(number) for number in re.findall(r"(?<![\w.])\d{1,4}(?![\w]|\.\d)", message)]
    hints = [number for number in dict.fromkeys(found) if 1 < number <= LARGEST_HINT]
    return tuple(sorted(hints, key=lambda number: number in given)[:MOST_HINTS])


@lru_cache(maxsize=128)  # configurations of one class are mostly tried on the same shapes, and say the same of them
def _changed(shape: Shape, hints: tuple[int, ...]) -> tuple[Shape, ...]:
    """Return shapes whose sizes are made to fit some numbers: their multiples, themselves, one more."""
    numbers = list(dict.fromkeys([*hints, *USUAL]))
    channels, *sides = shape
    fits = [partial(form, number) for number in numbers for form in (_multiple, _equal, _above)]
    ways = [partial(_multiple, 1), *fits]
    changed = [(way(channels), *map(other, sides)) for other, way in product(ways, ways)]
    changed += [(*shape[:dim], way(shape[dim]), *shape[dim + 1 :]) for dim in range(1, len(shape)) for way in fits]
    if len(sides) > 1:
        changed += [(way(channels), *(max(sides),) * len(sides)) for way in ways]
    return tuple(dict.fromkeys(changed))


def _multiple(number: int, size: int) -> int:
    return size + (-size) % number


def _equal(number: int, size: int) -> int:
    return number


def _above(number: int, size: int) -> int:
    return max(size, number + 1)
