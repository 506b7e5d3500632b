"""Checks of gradients as tests::

    import pytest_gradients as gradients

    @gradients.check(gradients.drawn("batch", 3), gradients.drawn(3))
    def test_scale(x, weight):
        return Scale.apply(x, weight)

The body of the test is the function that is checked. Nothing here imports torch; the checks are those of
``layerkit.testing.check_function``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from layerkit.testing import Drawn

    from pytest_gradients.checker import Checker

__all__ = ["check", "drawn"]


def drawn(*shape: int | str, **options: Any) -> Drawn:
    """Return an input that is drawn in each case; see ``layerkit.testing.drawn``.

    Args:
        shape: numbers, which stay as they are, and names of sizes that the kit chooses, such as ``("batch", 3)``.
        options: ``low``, ``high``, ``dtype`` ("float", "long" or "bool"), ``needs_gradient``.
    """
    from layerkit.testing import drawn

    return drawn(*shape, **options)


def check(*inputs: Any, **declared: Any) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a function of tensors a test of its gradients.

    Args:
        inputs: one for each of its first arguments: ``drawn(...)``, a tensor, or anything else, which is handed on as
            it is. Further arguments are fixtures and parameters of the test. Or one function alone that makes the
            inputs for all arguments, and is called when the test runs.
        declared: what is known about the function, see ``layerkit.testing.Declaration``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        made = len(inputs) == 1 and inspect.isfunction(inputs[0])
        fixtures = [] if made else list(inspect.signature(function).parameters.values())[len(inputs) :]

        def test(gradients: Checker, **values: Any) -> None:
            __tracebackhide__ = True
            checked = function
            if values:
                checked = functools.wraps(function)(functools.partial(function, **values))
                del checked.__wrapped__  # inspect would see the fixtures through it
            gradients.check_function(checked, inputs[0]() if made else inputs, **declared)

        functools.update_wrapper(test, function)
        own = inspect.Parameter("gradients", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([own, *fixtures])  # type: ignore[attr-defined]  # what pytest reads
        marked: Callable[..., None] = pytest.mark.gradients(test)
        return marked

    return decorate
