"""What a project calls to have its own gradients checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from layerkit.testing.foreign.declaration import Declaration
from layerkit.testing.foreign.report import GradientReport, WrongGradients
from layerkit.testing.foreign.running import run_battery
from layerkit.testing.foreign.target import Target, target_of, target_of_pair


def check_function(
    function: Any,
    inputs: Sequence[Any],
    named: Mapping[str, Any] | None = None,
    *,
    raises: bool = True,
    **declared: Any,
) -> GradientReport:
    """Check the gradients of anything that torch differentiates.

    Args:
        function: a function of tensors; a ``torch.autograd.Function``, or its ``apply``; a ``torch.nn.Module``, whose
            parameters are then checked too; or an operator of ``torch.library``, whose ``opcheck`` is reported beside.
        inputs: example arguments in order: tensors, ``drawn(...)`` for such as are to be drawn, and anything else,
            which is handed on as it is. Gradients are checked of those that require one; of all floats, where none
            does.
        named: arguments that are given by name.
        raises: whether a failure is raised.
        declared: what is known about the function, see
            :class:`~layerkit.testing.foreign.declaration.Declaration`; the rest is found out.

    Returns:
        What was found: a result for each check, and what was found out.

    Raises:
        WrongGradients: with the whole report as its text, when any check failed.
        UserError: when this cannot be checked, or nothing can be declared by such a name.
    """
    return _checked(target_of(function, inputs, named or {}), declared, raises)


def check_loss(
    loss: Any, prediction: Any, target: Any, *others: Any, raises: bool = True, **declared: Any
) -> GradientReport:
    """Check the gradient of a loss with respect to its prediction; see :func:`check_function`.

    Args:
        loss: a function or module of ``(prediction, target, ...)``.
        prediction: an example, or ``drawn(...)``.
        target: an example, or ``drawn(...)``; its gradient is checked only if it requires one.
        others: further arguments, such as weights.
        raises: whether a failure is raised.
        declared: what is known about it.

    Raises:
        WrongGradients: when any check failed.
    """
    if hasattr(prediction, "requires_grad"):
        prediction = prediction.detach().clone().requires_grad_()
    return check_function(loss, (prediction, target, *others), raises=raises, **declared)


def check_pair(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    arrays: Literal["torch", "numpy"] = "torch",
    raises: bool = True,
    **declared: Any,
) -> GradientReport:
    """Check a backward that is a function of its own.

    Args:
        forward: takes the inputs, and returns a tensor or several.
        backward: takes the gradient of each output, and then the inputs; or the gradients alone, where an object keeps
            what it needs from its last forward. Returns a gradient for each input, or None.
        inputs: as for :func:`check_function`.
        arrays: of what library both take and return their arrays.
        raises: whether a failure is raised.
        declared: what is known about them.

    Raises:
        WrongGradients: when any check failed.
    """
    return _checked(target_of_pair(forward, backward, inputs, arrays == "numpy"), declared, raises)


def check_pullback(
    forward: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    arrays: Literal["torch", "numpy"] = "torch",
    raises: bool = True,
    **declared: Any,
) -> GradientReport:
    """Check a forward that returns its outputs and a function from their gradients to those of the inputs.

    Args:
        forward: returns ``(outputs, pullback)``.
        inputs, arrays, raises, declared: as for :func:`check_pair`.

    Raises:
        WrongGradients: when any check failed.
    """
    return _checked(target_of_pair(forward, None, inputs, arrays == "numpy"), declared, raises)


def _checked(target: Target, declared: Mapping[str, Any], raises: bool) -> GradientReport:
    report = run_battery(target, Declaration.of(declared))
    if raises and report.failures:
        raise WrongGradients(report)
    return report
