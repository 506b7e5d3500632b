"""What a check is: a named function over one case, over a component as a whole, or over all cases together."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from layerkit.contracts.specs import KindName

Scope = Literal["case", "component", "examples"]


@dataclass(frozen=True)
class Check:
    """One statement about components, and the function that tests it.

    Attributes:
        name: by which it is chosen and reported.
        kinds: the kinds of components it is about.
        function: takes a case, a subject where ``scope`` is ``component``, or an
            :class:`~layerkit.testing.cases.examples.Examples` where it is ``examples``; raises
            :class:`~layerkit.testing.check.CheckFailed` where the statement is wrong.
        scope: whether it is tried on many drawn cases, or once, on the component or on all of its cases together.
        witness: the function returns whether it saw what it looks for, and one case where it did is enough.
        share: the part of the profile's small cases that it gets; costly checks take fewer.
        large: the part of the large cases, see :mod:`layerkit.testing.cases.large`, that it gets besides.
        most: no more small cases than this, for checks that make hundreds of steps.
    """

    name: str
    kinds: tuple[KindName, ...]
    function: Callable[[Any], bool | None]
    scope: Scope = "case"
    witness: bool = False
    share: float = 1.0
    large: float = 0.0
    most: int | None = None

    @property
    def statement(self) -> str:
        """The first paragraph of the function's docstring."""
        return " ".join(self.explanation.split("\n\n")[0].split())

    @property
    def explanation(self) -> str:
        """The whole docstring: the formula, and why it matters."""
        return inspect.getdoc(self.function) or ""


def check(
    *kinds: KindName,
    scope: Scope = "case",
    witness: bool = False,
    share: float = 1.0,
    large: float = 0.0,
    most: int | None = None,
) -> Callable[[Callable[[Any], bool | None]], Check]:
    """Make a function a check of ``kinds``, under the function's own name."""

    def make(function: Callable[[Any], bool | None]) -> Check:
        return Check(function.__name__, kinds, function, scope, witness, share, large, most)

    return make


class CheckFailed(AssertionError):
    """The component is wrong.

    Attributes:
        message: what was expected and what happened, in one or two sentences.
        analytic: the number that the component gave, where the fault is in a number.
        numeric: the number it should have been.
        guess: a likely mistake, in plain language.
    """

    def __init__(
        self, message: str, *, analytic: float | None = None, numeric: float | None = None, guess: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.analytic = analytic
        self.numeric = numeric
        self.guess = guess


class NotApplicable(Exception):
    """The check does not apply to this case; the reason is shown."""


class Rejected(Exception):
    """The case met a point without a derivative; how often is counted, and bounded."""


def require(condition: bool, message: str) -> None:
    """Fail with ``message`` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def not_applicable(reason: str) -> NoReturn:
    """Leave the case to the other checks."""
    raise NotApplicable(reason)
