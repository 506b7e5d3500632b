"""Derivatives by central differences in float64, with which hand-written gradients are compared.

For a function f, an input x, a direction v and a cotangent u, the number <u, f(x + e v) - f(x - e v)> / 2e is the
derivative along v, and <backward(u), v> must equal it. At e = 1e-6 truncation and rounding leave about 1e-10 of the
numbers of a smooth layer, so that the tolerance can be 1e-6. Where that is missed other steps are tried before it
counts: a wrong gradient is wrong for all of them, and a steep function is not.

A kink shows itself in the one-sided differences, which then have a gap between them that no smaller step closes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed, Rejected
from layerkit.testing.instruments.guesses import guess

STEP = 1e-6
OTHER_STEPS = (1e-5, 1e-7, 1e-4)
TOLERANCE = 1e-6
GAP = 5e-3
"""One-sided differences that are further apart than this, relative to their size, have a kink between them."""
ZOOMS = 14
"""A kink is looked for so many times, at a sixth of the distance each time: from 0.3 down to 3e-11."""
INPUT = "the input"
"""The name of a layer's input among all that has a gradient."""
DIRECTIONS = 4
MOST_COORDINATES = 300

Evaluate = Callable[[], Tensor]
"""Returns the output for the present value of the tensor that is varied."""


@dataclass(frozen=True)
class Precision:
    """How closely differences can be looked at.

    Attributes:
        steps: of the differences; where the first is missed the others are tried.
        tolerance: relative.
        unit: the rounding of a value of the output, relative.
    """

    steps: tuple[float, ...]
    tolerance: float
    unit: float


DOUBLE = Precision((STEP, *OTHER_STEPS), TOLERANCE, 1e-15)
SINGLE = Precision((1e-2, 3e-3, 3e-2), 1e-2, 5e-7)
"""For a function that computes in float32, whatever the dtype of its inputs."""


def check_directions(
    evaluate: Evaluate,
    tensor: Tensor,
    analytic: Tensor,
    cotangent: Tensor,
    what: str,
    generator: torch.Generator,
    *,
    kinked: bool = False,
    counts: Mapping[str, int] | None = None,
    directions: int = DIRECTIONS,
    samples: bool = False,
    precision: Precision = DOUBLE,
) -> None:
    """Compare a gradient with finite differences along random directions.

    Args:
        evaluate: returns the output for the present values of ``tensor``.
        tensor: the tensor to vary; it is changed in place and restored.
        analytic: the gradient with respect to it, for ``cotangent``.
        cotangent: the gradient with respect to the output.
        what: the name of the gradient, to fail with.
        generator: of the directions.
        kinked: whether points without a derivative are allowed.
        counts: for guesses, see :func:`~layerkit.testing.instruments.guesses.guess`.
        directions: how many; the first is along a single coordinate.
        samples: whether dimension 0 of the tensor is that of the samples of a batch, for guesses.
        precision: of the function.

    Raises:
        CheckFailed: when the two differ.
        Rejected: when they differ and there is a kink, if kinks are allowed.
    """
    for index in range(directions if tensor.numel() else 0):
        if index == 0:
            direction = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
            direction.view(-1)[int(torch.randint(tensor.numel(), (), generator=generator))] = 1.0
        else:
            direction = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        expected = float((analytic * direction).sum())
        scale = float((analytic * direction).abs().sum())
        if any(
            _agrees(evaluate, tensor, direction, cotangent, expected, scale, step, precision)
            for step in precision.steps
        ):
            continue
        if kinked and has_gap(evaluate, tensor, direction, cotangent):
            raise Rejected
        _fail(evaluate, tensor, analytic, cotangent, what, direction, expected, counts or {}, samples, precision)


def check_jointly(
    evaluate: Evaluate,
    tensors: Mapping[str, tuple[Tensor, Tensor]],
    cotangent: Tensor,
    generator: torch.Generator,
    *,
    kinked: bool = False,
    counts: Mapping[str, int] | None = None,
) -> None:
    """Hold all gradients of a pass against one difference, along a random direction of everything at once.

    That takes two evaluations, however many values there are; only where it fails is each tensor looked at alone.

    Args:
        evaluate: gives the output for what the tensors hold at the time.
        tensors: what is varied, with its gradient for ``cotangent``, by name.
        cotangent: of the output.
        generator: of the direction.
        kinked: whether points without a derivative are allowed.
        counts: for guesses, see :func:`~layerkit.testing.instruments.guesses.guess`.

    Raises:
        CheckFailed: when the two differ.
        Rejected: when they differ and there is a kink, if kinks are allowed.
    """
    directions = [torch.randn(its.shape, generator=generator, dtype=its.dtype) for its, _ in tensors.values()]
    products = [analytic * v for (_, analytic), v in zip(tensors.values(), directions, strict=True)]
    expected = sum(float(product.sum()) for product in products)
    scale = sum(float(product.abs().sum()) for product in products)
    values = [(tensor, tensor.clone(), v) for (tensor, _), v in zip(tensors.values(), directions, strict=True)]
    for step in (STEP, *OTHER_STEPS):
        sides = []
        for sign in (-1, 1):
            for tensor, value, direction in values:
                tensor.copy_(value + sign * step * direction)
            sides.append(evaluate().clone())
        for tensor, value, _ in values:
            tensor.copy_(value)
        numeric = _quotient(sides[0], sides[1], cotangent, step)
        if _within(numeric, expected, scale, sides[1], cotangent, step):
            return
    for name, (tensor, analytic) in tensors.items():
        what = f"the gradient of {name}"
        check_directions(
            evaluate,
            tensor,
            analytic,
            cotangent,
            what,
            generator,
            kinked=kinked,
            counts=counts,
            directions=3,
            samples=name == INPUT,
        )
    if kinked:
        raise Rejected
    raise CheckFailed("the gradients are wrong along a random direction of all of them", analytic=expected)


def _agrees(
    evaluate: Evaluate,
    tensor: Tensor,
    direction: Tensor,
    cotangent: Tensor,
    expected: float,
    scale: float,
    step: float,
    precision: Precision,
) -> bool:
    below, above = _either_side(evaluate, tensor, direction, step)
    return _within(_quotient(below, above, cotangent, step), expected, scale, above, cotangent, step, precision)


def _quotient(below: Tensor, above: Tensor, cotangent: Tensor, step: float) -> float:
    return float((cotangent * (above - below)).sum()) / (2 * step)


def _within(
    numeric: float,
    expected: float,
    scale: float,
    output: Tensor,
    cotangent: Tensor,
    step: float,
    precision: Precision = DOUBLE,
) -> bool:
    """Return whether a difference is what a gradient says, as far as truncation and rounding let one tell."""
    rounding = precision.unit / step * float((cotangent * output).abs().sum())
    error, tolerance = abs(numeric - expected), precision.tolerance
    return error <= tolerance * max(abs(numeric), abs(expected)) + tolerance / 5 * scale + rounding + 1e-9


def _either_side(evaluate: Evaluate, tensor: Tensor, direction: Tensor, step: float) -> tuple[Tensor, Tensor]:
    value = tensor.clone()
    tensor.copy_(value - step * direction)
    below = evaluate().clone()
    tensor.copy_(value + step * direction)
    above = evaluate().clone()
    tensor.copy_(value)
    return below, above


def numeric_derivative(
    evaluate: Evaluate, tensor: Tensor, direction: Tensor, cotangent: Tensor, step: float = STEP
) -> float:
    """Return the central difference of <cotangent, output> along ``direction``."""
    below, above = _either_side(evaluate, tensor, direction, step)
    return float((cotangent * (above - below)).sum()) / (2 * step)


def one_sided(evaluate: Evaluate, tensor: Tensor, direction: Tensor, cotangent: Tensor) -> tuple[float, float]:
    """Return the differences of <cotangent, output> from the left and from the right along ``direction``."""
    centre = evaluate().clone()
    below, above = _either_side(evaluate, tensor, direction, STEP)
    return float((cotangent * (centre - below)).sum()) / STEP, float((cotangent * (above - centre)).sum()) / STEP


def has_gap(evaluate: Evaluate, tensor: Tensor, direction: Tensor, cotangent: Tensor) -> bool:
    """Return whether the output has a kink here: its one-sided differences disagree."""
    left, right = one_sided(evaluate, tensor, direction, cotangent)
    return abs(left - right) > GAP * max(abs(left), abs(right), 1e-9)


def check_where_smooth(
    evaluate: Evaluate,
    tensors: Mapping[str, tuple[Tensor, Tensor]],
    cotangent: Tensor,
    generator: torch.Generator,
    kinked: bool = False,
) -> None:
    """Hold gradients against a difference, as :func:`check_jointly`, at a point that was chosen to be a special one.

    There a layer may be steep, as one that divides by a spread, or have no derivative at all, or a difference may be
    all rounding; that is no fault. The first of the tensors tells whether it is so.
    """
    try:
        check_jointly(evaluate, tensors, cotangent, generator, kinked=kinked)
    except CheckFailed:
        first, _ = next(iter(tensors.values()))
        if settles_along(evaluate, first, cotangent, generator):
            raise


def settles_along(evaluate: Evaluate, tensor: Tensor, cotangent: Tensor, generator: torch.Generator) -> bool:
    """Return whether smaller and smaller differences, from both sides, come to one number: there is a derivative."""
    direction = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    centre = evaluate().clone()
    slopes = []
    for step in (10 * STEP, STEP):
        below, above = _either_side(evaluate, tensor, direction, step)
        slopes += [float((cotangent * (centre - below)).sum()) / step]
        slopes += [float((cotangent * (above - centre)).sum()) / step]
    return max(slopes) - min(slopes) <= GAP * max(map(abs, slopes))


def has_kink_along(function: Callable[[float], float], reach: float = 3.0) -> bool:
    """Return whether a function of one number has a kink or a jump between ``-reach`` and ``reach``.

    It is looked for by zooming in on where the function bends most. Over three neighbours at distance h the change of
    slope is h f'' where f is smooth, and falls with h; at a kink it stays as it is. A smooth bend may be narrow, as in
    the root of x^2 + 1e-12, so h goes down to where the function's values are told apart no longer.
    """
    centre, before, kink = 0.0, torch.inf, False
    for _ in range(ZOOMS):
        positions = torch.linspace(centre - reach, centre + reach, 19, dtype=torch.float64)
        values = torch.tensor([function(t) for t in positions.tolist()], dtype=torch.float64)
        spacing = float(positions[1] - positions[0])
        slopes = values.diff() / positions.diff()
        bends = slopes.diff().abs()
        worst = int(bends.argmax())
        bend, slope = float(bends[worst]), float(slopes.abs().max())
        rounding = 4 * torch.finfo(torch.float64).eps * float(values.abs().max()) / spacing
        if bend <= GAP / 5 * slope + 1e-6:
            return False
        if rounding > bend / 10:
            break
        # A kink between two neighbours is shared by two changes of slope, so that either may be half of the whole.
        kink = bend > GAP * slope and bend > 0.4 * before
        centre, reach, before = float(positions[worst + 1]), 1.5 * spacing, bend
    return kink


def numeric_gradient(evaluate: Evaluate, tensor: Tensor, cotangent: Tensor, step: float = STEP) -> Tensor:
    """Return the whole gradient with respect to ``tensor``, by two evaluations a coordinate."""
    return jacobian(evaluate, tensor, cotangent.reshape(1, -1), step).reshape(tensor.shape)


def jacobian(evaluate: Evaluate, tensor: Tensor, cotangents: Tensor | None = None, step: float = STEP) -> Tensor:
    """Return the derivatives (rows, tensor.numel()) of every output value, or of ``cotangents`` (rows, outputs)."""
    columns = []
    for index in range(tensor.numel()):
        direction = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        direction.view(-1)[index] = 1.0
        below, above = _either_side(evaluate, tensor, direction, step)
        column = ((above - below) / (2 * step)).reshape(-1)
        columns.append(column if cotangents is None else cotangents @ column)
    if columns:
        return torch.stack(columns, 1)
    rows = evaluate().numel() if cotangents is None else len(cotangents)
    return tensor.new_zeros(rows, 0)


def _fail(
    evaluate: Evaluate,
    tensor: Tensor,
    analytic: Tensor,
    cotangent: Tensor,
    what: str,
    direction: Tensor,
    expected: float,
    counts: Mapping[str, int],
    samples: bool,
    precision: Precision,
) -> None:
    """Find out, coordinate by coordinate, what is wrong with a gradient, and say so."""
    if tensor.numel() > MOST_COORDINATES:
        numeric = numeric_derivative(evaluate, tensor, direction, cotangent, precision.steps[0])
        raise CheckFailed(f"{what}: wrong along a random direction", analytic=expected, numeric=numeric)
    whole = numeric_gradient(evaluate, tensor, cotangent, precision.steps[0])
    difference = (analytic - whole).abs().nan_to_num(nan=torch.inf).flatten()
    worst = int(difference.argmax())
    where = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), tensor.shape)) if tensor.dim() else ()
    wrong = int((difference > 1e-5 * whole.abs().max().clamp(min=1e-6)).sum())
    how_many = f"{wrong} of {tensor.numel()} values are wrong" if wrong else "its last digits are wrong"
    raise CheckFailed(
        f"{what}: {how_many}, most of all the one at {where}",
        analytic=float(analytic.flatten()[worst]),
        numeric=float(whole.flatten()[worst]),
        guess=guess(analytic, whole, counts, samples=samples),
    )
