"""What was found about one function, as frozen and plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from layerkit.testing.results import Failure, Outcome


@dataclass(frozen=True)
class Looked:
    """What one check said about a function.

    Attributes:
        check, statement: the check, and what must hold.
        outcome: a known failure is one that was announced, with its reason, and did happen.
        reason: why a check was not applicable, or is known to fail.
        examples: the passes that were compared.
        rejected: further ones, which met a point without a derivative.
        seconds: how long it took.
        failure: the simplest one that was found.
        script: a program that shows the failure without layerkit.
    """

    check: str
    statement: str
    outcome: Outcome
    reason: str = ""
    examples: int = 0
    rejected: int = 0
    seconds: float = 0.0
    failure: Failure | None = None
    script: str = ""

    def explain(self) -> str:
        """Return the result as text for people."""
        head = f"{self.check}: {self.outcome}"
        if self.failure is None:
            return f"{head}: {self.reason}" if self.reason else head
        return "\n  ".join([head, *self.failure.lines()])


@dataclass(frozen=True)
class GradientReport:
    """All that was found about a function.

    Attributes:
        name, kind: of what was checked.
        results: one for each check, in order.
        found_out: what nobody declared, in words.
        opcheck: what torch.library.opcheck says about an operator, by test; it is reported and does not count.
        seconds: how long everything took.
    """

    name: str
    kind: str
    results: tuple[Looked, ...]
    found_out: tuple[str, ...] = ()
    opcheck: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[Looked, ...]:
        """The results that failed; empty when all is well."""
        return tuple(result for result in self.results if result.outcome == "failed")

    @property
    def examples(self) -> int:
        """How many passes were compared."""
        return sum(result.examples for result in self.results)

    def counts(self) -> Counter[str]:
        """Return how many checks there are of each outcome."""
        return Counter(result.outcome for result in self.results)

    def summary(self) -> str:
        """Return one sentence with all the numbers."""
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts().items(), reverse=True))
        rejected = sum(result.rejected for result in self.results)
        return (
            f"{self.kind} {self.name}: {len(self.results)} checks, {self.examples} passes compared "
            f"({rejected} rejected at kinks): {outcomes}; {self.seconds:.1f} s"
        )

    def explain(self) -> str:
        """Return the summary, what was found out, every failure, and the script for the first one."""
        lines = [self.summary()]
        lines += [f"found out: {'; '.join(self.found_out)}"] if self.found_out else []
        lines += [f"opcheck: {'; '.join(f'{test}: {said}' for test, said in self.opcheck)}"] if self.opcheck else []
        lines += ["", *(result.explain() for result in self.failures)]
        script = next((result.script for result in self.failures if result.script), "")
        if script:
            lines += ["", "this program shows the first of them without layerkit:", "", script]
        return "\n".join(lines).rstrip()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for programs."""
        return {
            "name": self.name,
            "kind": self.kind,
            "checks": len(self.results),
            "examples": self.examples,
            "outcomes": dict(self.counts()),
            "found_out": list(self.found_out),
            "opcheck": dict(self.opcheck),
            "seconds": round(self.seconds, 3),
            "results": [
                {**vars(result), "failure": vars(result.failure) if result.failure else None} for result in self.results
            ],
        }


class WrongGradients(AssertionError):
    """A function failed some check; the message is the whole report.

    Attributes:
        report: the same as data.
    """

    def __init__(self, report: GradientReport) -> None:
        super().__init__(report.explain())
        self.report = report


def markdown(reports: list[GradientReport]) -> str:
    """Return a table of functions and of what was found, with every failure in full below it."""
    lines = ["| function | kind | checks | passes compared | failed | not applicable |", "|---|---|---|---|---|---|"]
    for report in reports:
        counts = report.counts()
        failed = ", ".join(result.check for result in report.failures) or "-"
        lines.append(
            f"| {report.name} | {report.kind} | {len(report.results)} | {report.examples} | {failed} "
            f"| {counts['not applicable']} |"
        )
    for report in reports:
        if report.failures:
            lines += ["", f"## {report.name}", "", "```", *(result.explain() for result in report.failures), "```"]
    return "\n".join(lines) + "\n"
