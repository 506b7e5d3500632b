"""An explanation as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from layerkit.explaining.layer import Checked, Explained, Term, Written
from layerkit.explaining.walk import Walk

MINUS = "\N{MINUS SIGN}"
MOST_TERMS, MOST_ROWS = 9, 4
"""The most terms of a sum, and numbers of a gradient, that are printed."""


def number(value: float) -> str:
    """Return a number with four significant digits."""
    return f"{value + 0.0:.4g}".replace("-", MINUS)  # no -0


def lines(walked: Walk, layers: list[Explained]) -> Iterator[str]:
    """Yield the lines of an explanation of some layers of a step."""
    yield f"input {_shape(walked.input_shape)}: tenths; weights: hundredths; gradients are those of the loss"
    for layer in layers:
        passed = layer.passed
        yield ""
        yield f"{passed.place}  {passed.layer.type}: {_shape(passed.x.shape[1:])} -> {_shape(passed.y.shape[1:])}"
        yield textwrap.indent(layer.formula, "    | ")
        yield f"    forward   {sentence(layer.forward)}"
        backward = sentence(layer.backward) if layer.backward else "nobody needs the gradient of the input"
        yield f"    backward  {backward}"
        for checked in layer.checked:
            yield from _checked(checked)
    yield ""
    yield f"loss ({walked.loss_name}): {number(walked.loss)}"


def sentence(written: Written) -> str:
    """Return how a number came about."""
    if written.of is not None:
        place, value = written.of
        return f"{written.place} = f({place}) = f({number(value)}) = {number(written.total)}"
    parts = [f"{number(term.factor)}*{number(term.value)}" for term in shown(written)]
    left = len(written.terms) - len(parts)
    if left:
        rest_of_terms = sum(term.factor * term.value for term in written.terms[len(parts) :])
        parts.append(f"({left} more: {number(rest_of_terms)})")
    if abs(written.rest) > 1e-12 and not written.slopes:
        parts.append(number(written.rest))
    total = " + ".join(parts).replace(f"+ {MINUS}", f"{MINUS} ") or "0"
    if written.slopes:
        return f"{written.place} = {number(written.total)}, with the slopes (times the inputs) {total}"
    return f"{written.place} = {total} = {number(written.total)}"


def shown(written: Written) -> tuple[Term, ...]:
    """Return the terms that are written out."""
    return written.terms[:MOST_TERMS]


def _checked(checked: Checked) -> Iterator[str]:
    rows = checked.rows[:MOST_ROWS]
    for place, gradient, numeric in rows:
        yield f"    d loss / d {place} = {number(gradient)}   finite difference {number(numeric)}"
    yield (
        f"    {len(checked.rows)} of {checked.count} gradients of {checked.name} looked at: "
        f"at most {checked.farthest:.1e} from the finite differences"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
