"""What a run of the kit found, as frozen and plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import Field, dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from layerkit.contracts.specs import KindName

Outcome = Literal["passed", "failed", "not applicable", "known failure"]


@dataclass(frozen=True)
class Failure:
    """The smallest case that was found on which a component fails a check.

    Attributes:
        message: what was expected and what happened.
        case: configuration, shapes and seed; None where the check needs no case.
        analytic, numeric: what the component gave and what it should have been, where that is one number.
        guess: a likely mistake, in plain language.
        replay: a command, or a line of Python, that runs exactly this case again.
        token: the case as the option ``--replay`` takes it.
    """

    message: str
    case: dict[str, Any] | None = None
    analytic: float | None = None
    numeric: float | None = None
    guess: str = ""
    replay: str = ""
    token: str = ""

    @property
    def ratio(self) -> float | None:
        """What the component gave over what it should have been."""
        if self.analytic is None or not self.numeric:
            return None
        return self.analytic / self.numeric

    def lines(self) -> list[str]:
        """Return the failure as lines for people."""
        lines = [self.message]
        lines += [f"{name}: {value}" for name, value in (self.case or {}).items()]
        if self.analytic is not None and self.numeric is not None:
            ratio = "" if self.ratio is None else f", ratio {self.ratio:.6g}"
            lines.append(f"analytic {self.analytic:.9g}, numeric {self.numeric:.9g}{ratio}")
        if self.guess:
            lines.append(f"guess: {self.guess}")
        if self.replay:
            lines.append(f"again: {self.replay}")
        return lines


@dataclass(frozen=True)
class Result:
    """What one check said about one component.

    Attributes:
        kind, component, distribution: the component, and the package it came from.
        check: the name of the check.
        outcome: a known failure is one that was announced, with its reason, and did happen.
        reason: why a check was not applicable, or is known to fail.
        examples: the cases that it was tried on.
        large: those among them that are large.
        rejected: further cases, which met a point without a derivative.
        unfit: configurations and shapes that were drawn for the component and are no valid ones.
        seconds: how long it took.
    """

    kind: KindName
    component: str
    distribution: str
    check: str
    outcome: Outcome
    reason: str = ""
    examples: int = 0
    large: int = 0
    rejected: int = 0
    unfit: int = 0
    seconds: float = 0.0
    failure: Failure | None = None

    def explain(self) -> str:
        """Return the result as text for people; a failure with everything that is known about it."""
        head = f"{self.kind} {self.component}: {self.check}: {self.outcome}"
        if self.failure is None:
            return f"{head}: {self.reason}" if self.reason else head
        return "\n  ".join([head, *self.failure.lines()])

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for programs."""
        data = {name: value for name, value in vars(self).items() if name != "failure"}
        data["seconds"] = round(self.seconds, 4)
        if self.failure is not None:
            data["failure"] = {**vars(self.failure), "ratio": self.failure.ratio}
        return data


@dataclass(frozen=True)
class Report:
    """All results of a run, in order."""

    results: tuple[Result, ...]
    profile: str
    seed: int
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that failed; empty when all is well."""
        return tuple(result for result in self.results if result.outcome == "failed")

    def explained(self) -> list[str]:
        """Return every failure in full; one that several checks of a component have met alike stands there once."""
        alike: dict[tuple[KindName, str, str], list[Result]] = {}
        for result in self.failures:
            message = result.failure.message if result.failure else ""
            alike.setdefault((result.kind, result.component, message), []).append(result)
        texts = []
        for first, *others in alike.values():
            also = ", ".join(other.check for other in others)
            texts.append(first.explain() + (f"\n  the same in {also}" if also else ""))
        return texts

    def components(self) -> dict[tuple[KindName, str], list[Result]]:
        """Return the results of each component."""
        grouped: dict[tuple[KindName, str], list[Result]] = {}
        for result in self.results:
            grouped.setdefault((result.kind, result.component), []).append(result)
        return grouped

    def counts(self) -> Counter[str]:
        """Return how many results there are of each outcome."""
        return Counter(result.outcome for result in self.results)

    def summary(self) -> str:
        """Return one sentence with the numbers of components, checks, examples and outcomes."""
        counts = self.counts()
        outcomes = ", ".join(
            f"{counts[outcome]} {outcome}"
            for outcome in ("passed", "failed", "known failure", "not applicable")
            if counts[outcome] or outcome in ("passed", "failed")
        )
        return (
            f"{len(self.components())} components, {len(self.results)} checks, "
            f"{sum(result.examples for result in self.results)} examples "
            f"({sum(result.rejected for result in self.results)} rejected at kinks), among them "
            f"{sum(result.large for result in self.results)} large cases: {outcomes}; "
            f"profile {self.profile}, seed {self.seed}, {self.seconds:.1f} s"
        )

    def explain(self) -> str:
        """Return every failure in full, and the summary."""
        return "\n\n".join([*self.explained(), self.summary()])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for programs."""
        return {
            "profile": self.profile,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "components": len(self.components()),
            "checks": len(self.results),
            "examples": sum(result.examples for result in self.results),
            "large": sum(result.large for result in self.results),
            "rejected": sum(result.rejected for result in self.results),
            "outcomes": dict(self.counts()),
            "results": [result.to_dict() for result in self.results],
        }


class _Judged(Protocol):
    """A data class with an outcome, a reason and a failure."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def outcome(self) -> Outcome: ...


_JudgedT = TypeVar("_JudgedT", bound=_Judged)


def expected_or_not(result: _JudgedT, reason: str) -> _JudgedT:
    """Return the result in the light of a known failure: it is one if it fails, and a failure if it does not."""
    if not reason:
        return result
    if result.outcome == "failed":
        return replace(result, outcome="known failure", reason=reason)
    message = f"it is known to fail ({reason}), and it does not: take it off the list of known failures"
    return replace(result, outcome="failed", failure=Failure(message))
