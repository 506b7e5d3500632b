"""What a check is: a named function over one case, or over a component as a whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from layerkit.component import Kind

Scope = Literal["case", "component"]


@dataclass(frozen=True)
class Check:
    """One statement about components, and the function that tests it.

    Attributes:
        name: by which it is chosen and reported.
        kinds: the kinds of components it is about.
        function: takes a case, or a subject where ``scope`` is ``component``; raises
            :class:`~layerkit.testing.judgement.CheckFailed` where the statement is wrong.
        scope: whether it is tried on many drawn cases, or once.
        witness: the function returns whether it saw what it looks for, and one case where it did is enough.
        share: the part of the profile's examples that it gets; costly checks take fewer.
    """

    name: str
    kinds: tuple[Kind, ...]
    function: Callable[[Any], bool | None]
    scope: Scope = "case"
    witness: bool = False
    share: float = 1.0

    @property
    def statement(self) -> str:
        """The first paragraph of the function's docstring."""
        return " ".join(inspect.getdoc(self.function).split("\n\n")[0].split())

    @property
    def explanation(self) -> str:
        """The whole docstring: the formula, and why it matters."""
        return inspect.getdoc(self.function)


def check(
    *kinds: Kind, scope: Scope = "case", witness: bool = False, share: float = 1.0
) -> Callable[[Callable[[Any], bool | None]], Check]:
    """Make a function a check of ``kinds``, under the function's own name."""

    def make(function: Callable[[Any], bool | None]) -> Check:
        return Check(function.__name__, kinds, function, scope, witness, share)

    return make
