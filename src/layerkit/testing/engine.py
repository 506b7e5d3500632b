"""Runs one check on one component: draws cases, minimizes a failing case, and counts everything."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import torch
from hypothesis.errors import Flaky

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import CASES, Case
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.large import smaller
from layerkit.testing.cases.subjects import Subject
from layerkit.testing.check import Check, CheckFailed, NotApplicable, Rejected
from layerkit.testing.instruments.crash import crash
from layerkit.testing.instruments.observation import settings_put_back
from layerkit.testing.results import Failure, Outcome, Result

MOST_REJECTED = 0.2
"""The largest share of examples at a kink; if it is larger the check fails, since too few examples were compared."""


class _Enough(BaseException):
    """Ends a search; not an Exception, so that hypothesis lets it through."""


class _Fails(Exception):
    """The one exception that hypothesis sees, so that it takes all failures of a check for the same one."""


@dataclass
class _Tally:
    """The counts so far, and the last failure."""

    examples: int = 0
    large: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    witnessed: bool = False
    failure: Failure | None = None


def run_check(check: Check, examples: Examples, token: str = "", *, alone: bool = False) -> Result:
    """Return what ``check`` says about a component.

    Args:
        check: what is tested.
        examples: the component and the cases it is tried on.
        token: runs the one case that it stands for instead.
        alone: whether no other check is run. Where no cases can be drawn, one check of a battery says so, and so does
            a check that is run alone.
    """
    began = time.perf_counter()
    subject, tally = examples.subject, _Tally()
    if check.scope != "case":
        _try(check, subject, subject if check.scope == "component" else examples, tally)
    elif token:
        _try(check, subject, CASES[subject.kind].from_token(subject, token), tally)
    elif reason := examples.why_none():
        tally.failure = Failure(reason) if alone else None
        tally.reasons["no valid case could be drawn"] += 1
    else:
        _try_all(check, examples, tally)
        _judge(check, examples, tally)
    return _result(check, examples, tally, time.perf_counter() - began)


def _try_all(check: Check, examples: Examples, tally: _Tally) -> None:
    large = {id(case) for case in examples.large} if check.large else set()
    for case in examples.for_check(check):
        before = tally.examples
        if _try(check, examples.subject, case, tally):
            if id(case) in large:
                _reduce(check, examples, case, tally)
            else:
                _shrink(check, examples, tally)
            return
        tally.large += tally.examples - before if id(case) in large else 0
        if check.witness and tally.witnessed:
            return


def _try(check: Check, subject: Subject, on: Case[Spec] | Subject | Examples, tally: _Tally) -> bool:
    """Run the check once and return whether it failed, with the failure in the tally."""
    case = on if isinstance(on, Case) else None
    try:
        # A layer must not care, but a check that compares must not build graphs of its own either.
        with torch.no_grad(), settings_put_back():
            witnessed = check.function(on)
        tally.examples += 1
        tally.witnessed |= bool(witnessed)
    except NotApplicable as reason:
        tally.reasons[str(reason)] += 1
    except Rejected:
        tally.rejected += 1
    except CheckFailed as wrong:
        tally.examples += 1
        tally.failure = _failure(check, subject, case, wrong)
        return True
    except Exception as error:
        tally.examples += 1
        tally.failure = _failure(check, subject, case, CheckFailed(crash(error)))
        return True
    return False


def _shrink(check: Check, examples: Examples, tally: _Tally) -> None:
    """Draw the same cases once more, with hypothesis making the one that fails as small as it can in a few tries."""
    if not examples.profile.shrinks:
        return
    smaller = _Tally()
    tries = 0

    def once(case: Case[Spec]) -> None:
        nonlocal tries
        tries += smaller.failure is not None
        if tries > examples.profile.shrinks:
            raise _Enough
        if _try(check, examples.subject, case, smaller):
            raise _Fails

    try:
        examples.search(once)
    except (_Enough, _Fails):
        tally.failure = smaller.failure
    except Flaky:
        # The component does not do the same twice; the smallest failure is a failure all the same.
        tally.failure = smaller.failure or tally.failure


def _reduce(check: Check, examples: Examples, case: Case[Spec], tally: _Tally) -> None:
    """Make a large case that fails smaller, one size at a time, as long as it fails."""
    found = _Tally()
    candidates, tries = smaller(case), examples.profile.shrinks
    while tries and (candidate := next(candidates, None)) is not None:
        tries -= 1
        if _try(check, examples.subject, candidate, found):
            tally.failure = found.failure
            candidates = smaller(candidate)


def _judge(check: Check, examples: Examples, tally: _Tally) -> None:
    """Turn what only all cases together show into a failure."""
    tried = tally.examples + tally.rejected
    if tally.failure is not None:
        return
    if tally.rejected > MOST_REJECTED * tried:
        tally.failure = Failure(
            f"{tally.rejected} of {tried} examples were at a point without a derivative; the most that may be is "
            f"{MOST_REJECTED:.0%}"
        )
    elif check.witness and tally.examples and not tally.witnessed:
        tally.failure = Failure(f"not seen in any of {tally.examples} examples: {check.statement}")


def _failure(check: Check, subject: Subject, case: Case[Spec] | None, wrong: CheckFailed) -> Failure:
    token = case.token() if case else ""
    return Failure(
        message=wrong.message,
        case=case.describe() if case else None,
        analytic=wrong.analytic,
        numeric=wrong.numeric,
        guess=wrong.guess,
        replay=_replay(check, subject, token),
        token=token,
    )


def _replay(check: Check, subject: Subject, token: str) -> str:
    if subject.installed:
        return f"layerkit conformance {subject.name} --only {check.name}" + (f" --replay {token}" if token else "")
    replay = f', replay="{token}"' if token else ""
    return f'layerkit.testing.run({subject.spec.__name__}, only="{check.name}"{replay})'


def _result(check: Check, examples: Examples, tally: _Tally, seconds: float) -> Result:
    subject = examples.subject
    outcome: Outcome
    reason = ""
    if tally.failure is not None:
        outcome = "failed"
    elif tally.examples:
        outcome = "passed"
    else:
        outcome = "not applicable"
        reason = tally.reasons.most_common(1)[0][0] if tally.reasons else "nothing was tried"
    return Result(
        kind=subject.kind,
        component=subject.name,
        distribution=subject.component.distribution,
        check=check.name,
        outcome=outcome,
        reason=reason,
        examples=tally.examples,
        large=tally.large,
        rejected=tally.rejected,
        unfit=len(examples.unfit),
        seconds=seconds,
        failure=tally.failure,
    )
