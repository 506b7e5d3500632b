"""One look at a target: its gradients in one case, asked for in one way, against what they should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.check import CheckFailed, NotApplicable
from layerkit.testing.foreign.cases import Case, Inputs
from layerkit.testing.foreign.declaration import Declaration
from layerkit.testing.foreign.routes import Cotangents, Gradients, Route, straight
from layerkit.testing.foreign.target import Target
from layerkit.testing.instruments.crash import crash, last_own_frame
from layerkit.testing.instruments.layouts import EXPANSIONS, LAYOUTS
from layerkit.testing.instruments.numerics import DOUBLE, Precision

LAY_OUT = LAYOUTS | EXPANSIONS


@dataclass(frozen=True)
class Variation:
    """A way of asking for the gradients.

    Attributes:
        route: what is done, see :mod:`layerkit.testing.foreign.routes`.
        dtype: of the floats; None for that of the checks.
        layouts: of arguments in memory, by number.
        gradient_layouts: of the gradients of outputs, by number.
        needing: the arguments whose gradients are asked for; None for all that need one.
        used: the outputs that are used; None for all.
    """

    route: Route = straight
    dtype: torch.dtype | None = None
    layouts: dict[int, str] = field(default_factory=dict)
    gradient_layouts: dict[int, str] = field(default_factory=dict)
    needing: tuple[int, ...] | None = None
    used: tuple[int, ...] | None = None

    def described(self, names: list[str]) -> dict[str, str]:
        """Return what is unusual about it, for a report."""
        told = {f"layout of {names[index]}": layout for index, layout in self.layouts.items()}
        told |= {f"layout of the gradient of output {i}": layout for i, layout in self.gradient_layouts.items()}
        if self.dtype is not None:
            told["dtype"] = str(self.dtype)
        if self.needing is not None:
            told["gradients asked for"] = ", ".join(names[index] for index in self.needing)
        if self.used is not None:
            told["outputs used"] = ", ".join(map(str, self.used))
        return told


@dataclass
class Learned:
    """What was found out about a target.

    Attributes:
        dtype: of the checks: float64 where it is taken.
        precision: with which it computes.
        stochastic: whether it draws random numbers.
        cases: those that it takes, the example's own first.
        dtypes: lower ones that it takes.
        autocast: whether it takes autocast.
        gains: the size of each gradient of the example, for gradients of the outputs of size one.
        mixes_batch: whether samples depend on others; None where there is no telling.
        notes: all of that, and what it refuses, in words.
    """

    dtype: torch.dtype = torch.float64
    precision: Precision = DOUBLE
    stochastic: bool = False
    cases: list[Case] = field(default_factory=lambda: [Case()])
    dtypes: list[torch.dtype] = field(default_factory=list)
    autocast: bool = False
    gains: list[float] = field(default_factory=list)
    mixes_batch: bool | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Prepared:
    """The arguments and gradients of one pass, as a variation has them, and plain.

    Plain is contiguous, in the dtype of the checks, with all gradients asked for, and zeros for unused outputs.
    """

    values: list[Any]
    cotangents: Cotangents
    plain: list[Any]
    plain_cotangents: list[Tensor]


class ForwardFailed(Exception):
    """Forward, and not backward, raised what is the cause of this."""


@dataclass(frozen=True)
class Trial:
    """A target with its inputs, what is declared of it, and what was found out."""

    target: Target
    inputs: Inputs
    declaration: Declaration
    learned: Learned

    @property
    def names(self) -> list[str]:
        """The names of the arguments."""
        return [argument.name for argument in self.target.arguments]

    def call(self, *values: Any) -> list[Tensor]:
        """Return the outputs; an exception is a :class:`ForwardFailed`."""
        try:
            return self.target.call(*values)
        except Exception as error:
            raise ForwardFailed from error

    def prepared(self, case: Case, variation: Variation) -> Prepared:
        """Return what goes into a pass, with gradients of the outputs that are drawn.

        Raises:
            NotApplicable: when forward refuses the values, or its outputs are not finite.
        """
        needing = self.inputs.needing if variation.needing is None else variation.needing
        values, plain = [], []
        for index, value in enumerate(self.inputs.values(case)):
            if not isinstance(value, Tensor):
                values.append(value)
                plain.append(value)
                continue
            if value.is_floating_point():
                value = value.to(variation.dtype or self.learned.dtype)
            laid_out = LAY_OUT[variation.layouts[index]](value) if index in variation.layouts else value
            values.append(laid_out.detach().requires_grad_(index in needing))
            plain.append(self._plain(laid_out).requires_grad_(index in self.inputs.needing))
        cotangents, used = self._cotangents(case, variation, plain), variation.used
        given = [c if used is None or index in used else None for index, c in enumerate(cotangents)]
        zeroed = [
            self._plain(c) if g is not None else self._plain(c).zero_() for c, g in zip(cotangents, given, strict=True)
        ]
        return Prepared(values, given, plain, zeroed)

    def expected(self, prepared: Prepared) -> Gradients:
        """Return the gradients of the plain pass, of all arguments that need one."""
        found = self._asked(straight, prepared.plain, list(prepared.plain_cotangents)) or []
        # They may lie in memory that a later call writes into.
        return [None if gradient is None else gradient.detach().clone() for gradient in found]

    def given(self, prepared: Prepared, variation: Variation) -> Gradients | None:
        """Return the gradients of the pass that a variation asks for.

        Raises:
            CheckFailed: when backward raises, or forward for numbers that only lie in memory in another way.
            NotApplicable: when forward refuses.
        """
        return self._asked(variation.route, prepared.values, prepared.cotangents, bool(variation.layouts))

    def _asked(
        self, route: Route, values: list[Any], cotangents: Cotangents, only_laid_out: bool = False
    ) -> Gradients | None:
        try:
            return route(self.call, values, cotangents)
        except ForwardFailed as error:
            cause = error.__cause__ or error
            if only_laid_out and not self._refuses(cause):
                raise CheckFailed(f"forward raises {crash(cause)}") from error
            raise NotApplicable(f"forward refuses: {crash(cause)}") from error
        except AssertionError as error:
            raise CheckFailed(str(error) or crash(error)) from error
        except Exception as error:
            raise CheckFailed(f"backward raises {crash(error)}") from error

    def _refuses(self, error: BaseException) -> bool:
        """Return whether forward raised on purpose, and not because something in it went wrong."""
        frame = last_own_frame(error.__traceback__)
        on_purpose = frame is not None and (frame.line or "").startswith(("raise", "assert"))
        # Compiled code says so too; a view that does not fit is an accident.
        asks = "contiguous" in str(error) and "view size" not in str(error)
        return on_purpose or asks or self.target.kind == "operator"

    def _plain(self, value: Tensor) -> Tensor:
        dtype = self.learned.dtype if value.is_floating_point() else value.dtype
        return value.detach().to(dtype).clone(memory_format=torch.contiguous_format)

    def _cotangents(self, case: Case, variation: Variation, plain: list[Any]) -> list[Tensor]:
        with torch.no_grad():
            try:
                outputs = self.call(*plain)
            except ForwardFailed as error:
                raise NotApplicable(f"forward refuses: {crash(error.__cause__ or error)}") from error
        if not all(bool(output.isfinite().all()) for output in outputs):
            raise NotApplicable("outputs are not finite")
        generator = torch.Generator().manual_seed(7_919 + case.seed)
        cotangents = []
        for index, output in enumerate(outputs):
            cotangent = torch.randn(output.shape, generator=generator, dtype=torch.float64)
            cotangent = cotangent.to(variation.dtype or self.learned.dtype)
            if index in variation.gradient_layouts:
                cotangent = LAY_OUT[variation.gradient_layouts[index]](cotangent)
            cotangents.append(cotangent)
        return cotangents
