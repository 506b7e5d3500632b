"""What a check may say about a case besides nothing, which means that it passes."""

from __future__ import annotations

from typing import NoReturn


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
    """The check says nothing about this case; the reason is shown."""


class Rejected(Exception):
    """The case met a point without a derivative; how often is counted, and bounded."""


def require(condition: bool, message: str) -> None:
    """Fail with ``message`` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def not_applicable(reason: str) -> NoReturn:
    """Leave the case to the other checks."""
    raise NotApplicable(reason)
