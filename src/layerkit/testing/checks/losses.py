"""The battery of losses."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.errors import ShapeError, StateError
from layerkit.testing.cases.case import LossCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.layouts import LAYOUTS
from layerkit.testing.instruments.numerics import check_directions, has_kink_along
from layerkit.testing.instruments.observation import held_bytes, nothing_global_touched, nothing_opened, share_memory

LAST_BITS = 12
"""So many of the 24 bits of a float32 number are shaken where rounding is measured."""


def _evaluate(loss: Loss, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    value = loss.forward(prediction, target)
    return value, loss.backward()


@check("loss", large=1)
def loss_is_one_number(case: LossCase) -> None:
    """Forward returns a finite tensor of no dimensions, backward one like the prediction; float32 and float64 agree.

    A small difference of large numbers keeps their rounding, which is another one for numbers that are nearly the same;
    by how much is measured. A mistake is the same for them.
    """
    found = {}
    for dtype in (torch.float32, torch.float64):
        prediction, target = case.prediction(dtype), case.target(dtype)
        value, gradient = _evaluate(case.loss(), prediction, target)
        found[dtype] = value.double(), gradient.double()
        require(value.shape == (), f"the loss has the shape {tuple(value.shape)} and should have none")
        require(
            value.dtype == dtype and gradient.dtype == dtype,
            f"for {dtype} the results are {value.dtype}, {gradient.dtype}",
        )
        require(gradient.shape == prediction.shape, f"the gradient is {tuple(gradient.shape)}, not {case.shape}")
        require(bool(value.isfinite()) and bool(gradient.isfinite().all()), "the loss or its gradient is not finite")
    single, double, rounding = found[torch.float32], found[torch.float64], _rounding(case)
    for what, given, expected, spread in zip(("loss", "gradient"), single, double, rounding, strict=True):
        tolerance = 3e-4 * (1e-3 + expected.abs().max()) + 4 * spread
        require_close(
            given, expected, f"in float32 the {what} is not what it is in float64", tolerance.expand_as(given)
        )


def _rounding(case: LossCase) -> list[Tensor]:
    """Return how different the errors of loss and gradient in float32 are for numbers that are nearly the same."""
    errors: tuple[list[Tensor], list[Tensor]] = ([], [])
    for time in range(12):
        generator = case.generator(f"rounding {time}")
        pair = []
        for value in (case.prediction(), case.target()):
            bits = torch.rand(value.shape, generator=generator, dtype=value.dtype) - 0.5
            pair.append((value * (1 + 2**LAST_BITS * torch.finfo(torch.float32).eps * bits)).float())
        single = _evaluate(case.loss(), *pair)
        double = _evaluate(case.loss(), *(value.double() for value in pair))
        for kept, ours, exact in zip(errors, single, double, strict=True):
            kept.append(ours.double() - exact)
    return [(torch.stack(kept).amax(0) - torch.stack(kept).amin(0)).amax() for kept in errors]


@check("loss", large=1)
def loss_gradient(case: LossCase) -> None:
    """<backward(), v> is the central difference of the loss along v."""
    loss, prediction, target = case.loss(), case.prediction(), case.target()
    _, gradient = _evaluate(loss, prediction, target)
    count = prediction.numel()
    counts = {
        "batch size": case.shape[0],
        "number of values": count,
        "number of values in one sample": count // case.shape[0],
    }
    check_directions(
        lambda: loss.forward(prediction, target),
        prediction,
        gradient,
        torch.ones((), dtype=torch.float64),
        "the gradient of the prediction",
        case.generator("directions"),
        kinked=case.spec.kinked,
        counts=counts,
        samples=True,
    )


@check("loss", large=1)
def loss_is_a_mean(case: LossCase) -> None:
    """The loss of a batch is the mean of its samples' losses, and so is its gradient: it may be taken in parts."""
    if case.spec.compares_samples:
        not_applicable(f"the loss compares the samples of a batch: {case.spec.compares_samples}")
    require_mean_of_parts(case, *two_batches(case), "a batch")


def two_batches(case: LossCase) -> tuple[Tensor, Tensor]:
    """Return predictions and targets of at least two samples."""
    prediction = torch.cat([case.prediction(), case.prediction(purpose="more")])
    return prediction, torch.cat([case.target(), case.target(purpose="more")])


def require_mean_of_parts(case: LossCase, prediction: Tensor, target: Tensor, whole: str) -> None:
    """Fail unless the first of dimension 0 and the rest, each with its share, make loss and gradient of the whole."""
    value, gradient = _evaluate(case.loss(), prediction, target)
    sizes = [1, len(prediction) - 1]
    pairs = zip(torch.split(prediction, sizes), torch.split(target, sizes), strict=True)
    parts = [_evaluate(case.loss(), *pair) for pair in pairs]
    shares = [size / len(prediction) for size in sizes]
    mean = torch.stack([share * loss for share, (loss, _) in zip(shares, parts, strict=True)]).sum()
    joined = torch.cat([share * its for share, (_, its) in zip(shares, parts, strict=True)])
    require_close(mean, value, f"the loss of {whole} is not the mean of the losses of its parts")
    require_close(joined, gradient, f"the gradient of {whole} is not that of its parts, each with its share")


@check("loss", large=1)
def loss_is_elementwise(case: LossCase) -> None:
    """Unless ``elementwise = False`` is declared the loss is a mean over single values, in any order and shape."""
    if not case.spec.elementwise:
        not_applicable("the loss is not declared elementwise")
    prediction, target = two_batches(case)
    value, _ = _evaluate(case.loss(), prediction, target)
    prediction, target = _shuffled(case, prediction, target)
    shuffled, _ = _evaluate(case.loss(), prediction, target)
    require_close(shuffled, value, "the same values in another order have another loss: declare elementwise = False?")
    require_mean_of_parts(case, prediction, target, "many values")


def _shuffled(case: LossCase, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both flat and in one random order."""
    order = torch.randperm(prediction.numel(), generator=case.generator("order"))
    return prediction.flatten()[order], target.flatten()[order]


@check("loss", witness=True)
def loss_is_not_elementwise(case: LossCase) -> bool:
    """Where ``elementwise = False`` is declared the loss is no mean over single values, in some example."""
    if case.spec.elementwise:
        not_applicable("the loss is declared elementwise")
    try:
        require_mean_of_parts(case, *_shuffled(case, *two_batches(case)), "many values")
    except Exception:  # it may well refuse values that lie in another shape
        return True
    return False


@check("loss", large=1)
def unknown_targets(case: LossCase) -> None:
    """A target of NaN does not count where ``takes_masked`` is declared, and makes the loss NaN where it is not."""
    prediction, target = two_batches(case)
    unknown = case.normal("unknown", *target.shape) > 0
    unknown[0], unknown[-1] = True, False
    target[unknown] = torch.nan
    loss = case.loss()
    if not case.spec.takes_masked:
        value = loss.forward(prediction, target)
        require(not bool(value.isfinite()), "the loss is finite although some targets are NaN: declare takes_masked?")
        return
    value, gradient = _evaluate(loss, prediction, target)
    require(bool(value.isfinite()) and bool(gradient.isfinite().all()), "loss or gradient is not finite")
    require(not bool(gradient[unknown].any()), "the gradient of a prediction whose target is unknown is not zero")
    check_directions(
        lambda: loss.forward(prediction, target),
        prediction,
        gradient,
        torch.ones((), dtype=torch.float64),
        "the gradient of the prediction, with some targets unknown",
        case.generator("directions"),
        kinked=case.spec.kinked,
    )
    if not case.spec.compares_samples:
        require_mean_of_parts(case, prediction, target, "a batch with unknown targets")
    value, gradient = _evaluate(loss, prediction, torch.full_like(target, torch.nan))
    require(float(value) == 0 and not bool(gradient.any()), "with no target known loss and gradient are not zero")


@check("loss", share=0.5)
def loss_refuses_other_shapes(case: LossCase) -> None:
    """A target that would have to be broadcast to the prediction's shape, or the reverse, is a ShapeError."""
    prediction, target = case.prediction(), case.target()
    for bad in (target[..., :0], torch.cat([target, target]), target[None], target.flatten()[:1]):
        if bad.shape == prediction.shape:
            continue
        try:
            case.loss().forward(prediction, bad)
        except ShapeError:
            continue
        except Exception as error:
            name = type(error).__name__
            raise CheckFailed(f"a target of {tuple(bad.shape)} for {case.shape} is {name}, not ShapeError") from None
        raise CheckFailed(f"a target of {tuple(bad.shape)} is accepted for a prediction of {case.shape}")


@check("loss", share=0.5)
def loss_of_an_empty_batch(case: LossCase) -> None:
    """An empty batch has a finite loss and an empty gradient."""
    empty = torch.zeros(0, *case.shape[1:], dtype=torch.float64)
    value, gradient = _evaluate(case.loss(), empty, empty.clone())
    require(bool(value.isfinite()), f"the loss of an empty batch is {float(value)}")
    require(gradient.shape == empty.shape, f"the gradient of an empty batch is {tuple(gradient.shape)}")


@check("loss", large=1)
def loss_keeps_to_itself(case: LossCase) -> None:
    """Prediction and target are not changed, nothing returned is overwritten or shared, and no graph is recorded."""
    loss = case.loss()
    prediction, target = case.prediction(), case.target()
    values, versions = (prediction.clone(), target.clone()), (prediction._version, target._version)
    with torch.enable_grad():
        value, gradient = _evaluate(loss, prediction.requires_grad_(), target)
    require(not value.requires_grad and not gradient.requires_grad, "the loss hangs on an autograd graph")
    prediction = prediction.detach()
    same = torch.equal(prediction, values[0]) and torch.equal(target, values[1])
    require(same and versions == (prediction._version, target._version), "the prediction or the target is written to")
    apart = not share_memory(gradient, prediction) and not share_memory(gradient, target)
    require(apart, "the gradient lies in the memory of the prediction or of the target")
    kept = value.clone(), gradient.clone()
    _evaluate(loss, case.prediction(purpose="second"), target)
    require_same_bits(value, kept[0], "a later call overwrites the loss that an earlier one returned")
    require_same_bits(gradient, kept[1], "a later call overwrites the gradient that an earlier one returned")


@check("loss")
def loss_state(case: LossCase) -> None:
    """Backward needs a forward in training mode and belongs to the last one; changes in between are noticed."""
    loss = case.loss()
    _require_state_error(loss, "backward before forward")
    prediction, target = case.prediction(), case.target()
    _, expected = _evaluate(case.loss(), prediction, target)
    loss.forward(case.prediction(purpose="earlier"), target)
    _, gradient = _evaluate(loss, prediction, target)
    require_close(gradient, expected, "after two forwards, backward is not that of the last one")
    for which in range(2):
        pair = [prediction.clone(), target.clone()]
        loss.forward(*pair)
        pair[which].mul_(0.5)
        try:
            gradient = loss.backward()
        except StateError:
            continue
        require_close(
            gradient, expected, "the caller changed a tensor after forward, and unnoticed the gradient is another"
        )
    loss.training = False
    held = held_bytes(loss)
    loss.forward(prediction, target)
    require(held_bytes(loss) <= held, "in evaluation mode the loss keeps tensors")
    _require_state_error(loss, "backward after a forward in evaluation mode")


def _require_state_error(loss: Loss, what: str) -> None:
    try:
        loss.backward()
    except StateError:
        return
    except Exception as error:
        raise CheckFailed(f"{what} is {type(error).__name__}, and should be layerkit.StateError") from None
    raise CheckFailed(f"{what} is accepted, and should be layerkit.StateError")


@check("loss", large=0.3)
def loss_is_deterministic(case: LossCase) -> None:
    """The loss is the same again, in a copy, beside another loss and in any layout; it touches nothing global."""
    loss, prediction, target = case.loss(), case.prediction(), case.target()
    with nothing_global_touched("a pass"), nothing_opened("a pass"):
        value, gradient = _evaluate(loss, prediction, target)
    other = case.loss()
    loss.forward(prediction, target)
    other.forward(case.prediction(purpose="other"), target)
    require_same_bits(loss.backward(), gradient, "another loss of the class changes this one's gradient")
    for again in (loss, copy.deepcopy(loss), case.loss()):
        value_again, gradient_again = _evaluate(again, prediction, target)
        require_same_bits(value_again, value, "the same again gives another loss")
        require_same_bits(gradient_again, gradient, "the same again gives another gradient")
    for layout, lay_out in LAYOUTS.items():
        value_again, gradient_again = _evaluate(loss, lay_out(prediction), lay_out(target))
        require_close(value_again, value, f"for tensors that are {layout} the loss is another")
        require_close(gradient_again, gradient, f"for tensors that are {layout} the gradient is another")


@check("loss", share=0.5, large=1)
def loss_at_its_target(case: LossCase) -> None:
    """Where prediction and target are equal, and for large differences, loss and gradient are finite."""
    target = case.target()
    for prediction in (target.clone(), *((target + 100, target - 100) if case.spec.domain is None else ())):
        for dtype in (torch.float64, torch.float32):
            value, gradient = _evaluate(case.loss(), prediction.to(dtype), target.to(dtype))
            require(bool(value.isfinite()) and bool(gradient.isfinite().all()), "loss or gradient is not finite")


@check("loss", share=0.6)
def undeclared_loss_kinks(case: LossCase) -> None:
    """A loss that is not declared ``kinked`` is smooth along every line."""
    if case.spec.kinked:
        not_applicable("the loss is declared kinked")
    require(not _kink_along_a_line(case), "the loss has a kink or a jump: declare kinked, or find out why")


@check("loss", witness=True)
def declared_loss_kinks(case: LossCase) -> bool:
    """A loss that is declared ``kinked`` has a kink, in some example."""
    if not case.spec.kinked:
        not_applicable("the loss is not declared kinked")
    return _kink_along_a_line(case)


def _kink_along_a_line(case: LossCase) -> bool:
    """Return whether there is one on the way through a prediction to its target and beyond."""
    loss, prediction, target = case.loss(), case.prediction(), case.target()
    if case.spec.domain is None:
        direction = case.normal("direction", *case.shape)
        return has_kink_along(lambda t: float(loss.forward(prediction + t * direction, target)))
    other = case.prediction(purpose="other")
    middle, half = (prediction + other) / 2, (prediction - other) / 2
    return has_kink_along(lambda t: float(loss.forward(middle + t * half, target)), reach=1.0)
