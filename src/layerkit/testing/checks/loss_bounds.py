"""Losses where formulas end: at zeros, at the ends of a domain, at the bounds between two pieces, and for ever."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.testing.cases.case import LossCase
from layerkit.testing.check import CheckFailed, check, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.jumps import jumps_of
from layerkit.testing.instruments.numerics import check_where_smooth

NEAR, NEARER = 1e-6, 1e-9
"""How far beside an end of a domain, in parts of it."""
CALLS = 520


def _single(value: float) -> Tensor:
    return torch.full((1, 1), value, dtype=torch.float64)


def _at(loss: Loss, prediction: float, target: float) -> tuple[float, float]:
    """Return the loss of a single value, and its gradient."""
    value = loss.forward(_single(prediction), _single(target))
    return float(value), float(loss.backward())


@check("loss", share=0.4)
def loss_at_the_ends(case: LossCase) -> None:
    """At the ends of the domain, or at zero, loss and gradient are finite and what they are just beside.

    A logarithm of 0, a mask that leaves out exactly 0 or 1, and a gradient cut off there are wrong nowhere else.
    """
    low, high = case.spec.domain or (0.0, 1.0)
    for dtype in (torch.float32, torch.float64):
        for end in (low, high):
            for target in (low, (low + high) / 2, high):
                pair = [torch.full(case.shape, value, dtype=dtype) for value in (end, target)]
                loss = case.loss()
                value, gradient = loss.forward(*pair), loss.backward()
                finite = bool(value.isfinite()) and bool(gradient.isfinite().all())
                require(finite, f"for a prediction of {end:g} and a target of {target:g} it is not finite")
    for end, inwards in ((low, high - low), (high, low - high)):
        for target in (low, (low + high) / 2, high):
            if case.spec.kinked and end == target:
                continue
            loss = case.loss()
            near, nearer, there = (_at(loss, end + share * inwards, target) for share in (NEAR, NEARER, 0.0))
            for what, a, b, given in zip(("loss", "gradient"), near, nearer, there, strict=True):
                settles = abs(a - b) <= 1e-3 * max(abs(a), abs(b)) + NEAR
                if settles and abs(given - b) > 1e-2 * abs(b) + 10 * NEAR:
                    message = f"for a target of {target:g} the {what} at exactly {end:g} is not what it is just beside"
                    raise CheckFailed(message, analytic=given, numeric=b)


@check("loss", share=0.4)
def loss_gradient_at_zeros(case: LossCase) -> None:
    """Where all predictions, or all targets, are zero or one number the gradient is right as well."""
    for prediction, target in _even_pairs(case):
        loss = case.loss()
        loss.forward(prediction, target)
        gradient = loss.backward()
        check_where_smooth(
            lambda: loss.forward(prediction, target),  # noqa: B023 - called in this turn only
            {"the prediction": (prediction, gradient)},
            torch.ones((), dtype=torch.float64),
            case.generator("directions"),
            case.spec.kinked,
        )


def _even_pairs(case: LossCase) -> Iterator[tuple[Tensor, Tensor]]:
    prediction, target = case.prediction(), case.target()
    for value in (0.0, 0.5) if case.spec.domain is None else (sum(case.spec.domain) / 2,):
        yield torch.full_like(prediction, value), target
        yield prediction.clone(), torch.full_like(target, value)
        if not case.spec.kinked:
            yield torch.full_like(prediction, value), torch.full_like(target, value)


@check("loss", most=6)
def loss_does_not_jump(case: LossCase) -> None:
    """The loss of a single value is continuous, across every bound between its pieces, whether it is kinked or not."""
    loss = case.loss()
    loss.training = False
    spans = ((-0.01, 0.01), (-1.5, 1.5), (-20.0, 20.0)) if case.spec.domain is None else (case.spec.domain,)
    target = (case.spec.domain or (0.0, 0.3))[case.seed % 2]
    wanted = _single(target)

    def value(prediction: float) -> float:
        return float(loss.forward(_single(prediction), wanted))

    for low, high in spans:
        for before, after in jumps_of(value, low, high, pieces=250):
            raise CheckFailed(
                f"for a target of {target:g} the loss jumps at a prediction of {after:.6g}",
                analytic=value(after),
                numeric=value(before),
            )


@check("loss", share=0.4)
def loss_forgets(case: LossCase) -> None:
    """A loss has no state: after calls for other values and at another ``progress`` it is what a new one is."""
    used = case.loss()
    for step in range(20):
        used.progress = step / 20
        used.training = step % 3 != 0
        used.forward(case.prediction(purpose=f"step {step}"), case.target(purpose=f"step {step}"))
        if used.training:
            used.backward()
    used.training = True
    used.progress = case.loss().progress
    _require_like_new(case, used, "after other calls")


@check("loss", most=2)
def loss_after_hundreds_of_calls(case: LossCase) -> None:
    """After hundreds of calls it is what a new one is."""
    used, prediction, target = case.loss(), case.prediction(purpose="before"), case.target(purpose="before")
    for _ in range(CALLS):
        used.forward(prediction, target)
        used.backward()
    _require_like_new(case, used, f"after {CALLS} calls")


def _require_like_new(case: LossCase, used: Loss, when: str) -> None:
    prediction, target, fresh = case.prediction(), case.target(), case.loss()
    require_same_bits(
        used.forward(prediction, target), fresh.forward(prediction, target), f"{when} the loss is another"
    )
    require_same_bits(used.backward(), fresh.backward(), f"{when} the gradient is another")


@check("loss", share=0.5)
def backward_is_of_its_forward(case: LossCase) -> None:
    """When ``progress`` is set between forward and backward, backward belongs to the forward before."""
    prediction, target = case.prediction(), case.target()
    for progress in (0.0, 0.3, 1.0):
        loss, other = case.loss(), case.loss()
        expected = (loss.forward(prediction, target), loss.backward())[1]
        other.forward(prediction, target)
        other.progress = progress
        require_close(other.backward(), expected, "progress was set after forward, and the gradient is another")
