"""What the user of the kit says about a function, in place of a spec."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from layerkit.errors import UserError


@dataclass(frozen=True)
class Declaration:
    """What is said about a function; what is not said is found out, and told in the report.

    Attributes:
        oracle: the same function in ordinary operations of torch, with which outputs and gradients must agree.
        surrogate: the function whose derivative backward is, where it is on purpose not that of forward, as in
            straight-through estimators.
        twice: whether its gradients may be differentiated again. Where it is not said, second derivatives are tried and
            told of, and cannot fail.
        kinked: whether it has points without a derivative. They are found out, and left out of the comparison, up to a
            fifth of the examples; with True up to all but one, and with False none may be met.
        stochastic: whether it draws random numbers, from the global generators of torch, numpy or Python.
        mixes_batch: whether a sample's output depends on other samples, which are the rows of the first input.
        dtypes: those that it must take, such as ("float32", "bfloat16"); others it may refuse.
        compiles: whether torch.compile of it is tried, which takes seconds.
        opchecks: whether torch.library.opcheck is asked about an operator, which takes seconds.
        known_failures: reasons by check. They are strict: one that passes is a failure.
        seed: of what is drawn.
    """

    oracle: Callable[..., Any] | None = None
    surrogate: Callable[..., Any] | None = None
    twice: bool | None = None
    kinked: bool | None = None
    stochastic: bool | None = None
    mixes_batch: bool | None = None
    dtypes: tuple[str, ...] = ()
    compiles: bool = False
    opchecks: bool = True
    known_failures: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> Self:
        """Return what keyword arguments declare.

        Raises:
            UserError: for a name that nothing can be declared by.
        """
        known = [its.name for its in fields(cls)]
        for name in declared:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
                raise UserError(f'nothing can be declared by "{name}"; {hint}')
        return cls(**declared)
