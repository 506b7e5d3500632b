"""Explains the passes of one layer as sums that can be checked on paper, and compares them with finite differences."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.explaining.walk import Passed

STEP = 1e-6
"""The step of the finite differences, in double precision; their error is about its square."""
MOST_CHECKED = 24
"""How many numbers of each gradient are checked by finite differences."""
_NOTHING = 1e-9


@dataclass(frozen=True)
class Term:
    """A product in a sum: a factor, and the number that it multiplies, which stands in a place."""

    factor: float
    value: float
    place: str


@dataclass(frozen=True)
class Written:
    """A number and where it comes from.

    Attributes:
        place: what it is, such as ``y[0, 1, 1]``.
        terms: whose sum it is, with ``rest``; empty for a function of a single number.
        rest: what does not depend on the input, such as a bias.
        of: for a function of a single number, that number's place and value.
        total: the number itself.
        slopes: whether the factors are slopes at this point, and the sum only the change that they make.
    """

    place: str
    terms: tuple[Term, ...]
    rest: float
    total: float
    of: tuple[str, float] | None = None
    slopes: bool = False


@dataclass(frozen=True)
class Checked:
    """Some numbers of a gradient, as the layer's backward pass has them and by finite differences.

    Attributes:
        name: of what it is the gradient of.
        rows: place, gradient, finite difference.
        count: of all numbers.
    """

    name: str
    rows: tuple[tuple[str, float, float], ...]
    count: int

    @property
    def farthest(self) -> float:
        """The largest difference between the two."""
        return max((abs(one - other) for _, one, other in self.rows), default=0.0)


@dataclass(frozen=True)
class Explained:
    """A layer's pass in words and numbers.

    Attributes:
        passed: what went through it.
        formula: from the layer's own documentation.
        forward: how a number of the output came about.
        backward: how a number of the input's gradient came about; None where there is none.
        checked: gradients beside finite differences.
    """

    passed: Passed
    formula: str
    forward: Written
    backward: Written | None
    checked: tuple[Checked, ...]


def explained(passed: Passed) -> Explained:
    """Return what a layer did, in words and numbers."""
    run = _runner(passed.module)
    checked = [] if passed.grad_x is None else [_checked("x", passed, passed.x, passed.grad_x, run)]
    for name, gradient in passed.gradients.items():
        checked.append(_parameter_checked(name, passed, gradient))
    return Explained(passed, formula_of(passed.module), _forward(passed, run), _backward(passed, run), tuple(checked))


def formula_of(module: Module) -> str:
    """Return what a layer's file says about its two passes: from "Forward" to the end of "Backward", or its class."""
    documentation = inspect.cleandoc(sys.modules[type(module).__module__].__doc__ or "")
    paragraphs, kept = documentation.split("\n\n"), list[str]()
    for paragraph in paragraphs:
        if paragraph.startswith(("Forward", "Backward")) or (kept and paragraph.startswith((" ", "grad_"))):
            kept.append(paragraph)
    return "\n\n".join(kept) or paragraphs[0] or inspect.getdoc(type(module)) or ""


def place_of(name: str, index: tuple[int, ...]) -> str:
    """Return a number's place, without the number of the sample."""
    return f"{name}[{', '.join(map(str, index))}]"


def _runner(module: Module) -> Callable[[Tensor], Tensor]:
    """Return the layer's forward pass as a function: each call works in a copy, which draws the same random numbers."""
    return lambda x: deepcopy(module).forward(x.clone())


def _forward(passed: Passed, run: Callable[[Tensor], Tensor]) -> Written:
    x, y = passed.x, passed.y
    at = _middle(y)
    slopes = _row(passed.module, x, y, at)
    terms = _terms(slopes, x, "x")
    place, total = place_of("y", at[1:]), y[at].item()
    rest = total - sum(term.factor * term.value for term in terms)
    # A sum of products if at an input of zeros nothing is left but the rest; of an identity, that says nothing.
    linear = abs(run(torch.zeros_like(x))[at].item() - rest) <= _NOTHING
    if linear and terms and [term.factor for term in terms] != [1.0]:
        return Written(place, terms, rest, total)
    if x.shape == y.shape and all(term.place == place_of("x", at[1:]) for term in terms):
        return Written(place, (), 0.0, total, (place_of("x", at[1:]), x[at].item()))
    return Written(place, terms, rest, total, slopes=True)


def _backward(passed: Passed, run: Callable[[Tensor], Tensor]) -> Written | None:
    if passed.grad_x is None:
        return None
    at = _largest(passed.grad_x)
    slopes = _difference(run, passed.x, at)
    terms = _terms(slopes, passed.grad_y, "grad_y")
    return Written(place_of("grad_x", at[1:]), terms, 0.0, passed.grad_x[at].item())


def _row(module: Module, x: Tensor, y: Tensor, at: tuple[int, ...]) -> Tensor:
    """Return the slopes of one number of the output in all numbers of the input, by the layer's backward pass."""
    copy = deepcopy(module)
    copy.needs_input_grad = True
    copy.forward(x.clone())
    one = torch.zeros_like(y)
    one[at] = 1.0
    slopes = copy.backward(one)
    return torch.zeros_like(x) if slopes is None else slopes


def _difference(run: Callable[[Tensor], Tensor], x: Tensor, at: tuple[int, ...]) -> Tensor:
    """Return the slopes of all numbers of the output in one number of the input, by a central difference."""
    above, below = x.clone(), x.clone()
    above[at] += STEP
    below[at] -= STEP
    return (run(above) - run(below)) / (2 * STEP)


def _checked(name: str, passed: Passed, x: Tensor, gradient: Tensor, run: Callable[[Tensor], Tensor]) -> Checked:
    rows = []
    for at in _first(x):
        numeric = (_difference(run, x, at) * passed.grad_y).sum().item()
        rows.append((place_of(name, at[1:] if name == "x" else at), gradient[at].item(), numeric))
    return Checked(name, tuple(rows), x.numel())


def _parameter_checked(name: str, passed: Passed, gradient: Tensor) -> Checked:
    weight = passed.module.named_param()[name][0]

    def run(changed: Tensor) -> Tensor:
        copy = deepcopy(passed.module)
        copy.named_param()[name][0].copy_(changed)
        return copy.forward(passed.x.clone())

    return _checked(name, passed, weight.clone(), gradient, run)


def _terms(factors: Tensor, values: Tensor, name: str) -> tuple[Term, ...]:
    places = (factors.abs() > _NOTHING).nonzero().tolist()
    return tuple(
        Term(factors[tuple(at)].item(), values[tuple(at)].item(), place_of(name, tuple(at[1:]))) for at in places
    )


def _first(tensor: Tensor) -> list[tuple[int, ...]]:
    """Return the places of the first numbers of a tensor."""
    count = min(MOST_CHECKED, tensor.numel())
    found = torch.unravel_index(torch.arange(count), tensor.shape)
    return list(zip(*(axis.tolist() for axis in found), strict=True))


def _middle(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size // 2 for size in tensor.shape)


def _largest(tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(axis) for axis in torch.unravel_index(tensor.abs().argmax(), tensor.shape))
