"""Runs one check on one component: draws cases, minimizes a failing case, and counts everything."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

import torch
from hypothesis.errors import Flaky

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import CASES, Case
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.subjects import Subject
from layerkit.testing.check import Check, CheckFailed, NotApplicable, Rejected
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
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    witnessed: bool = False
    failure: Failure | None = None


def run_check(check: Check, examples: Examples, token: str = "") -> Result:
    """Return what ``check`` says about a component.

    Args:
        check: what is tested.
        examples: the component and the cases it is tried on.
        token: runs the one case that it stands for instead.
    """
    began = time.perf_counter()
    subject, tally = examples.subject, _Tally()
    if check.scope == "component":
        _try(check, subject, None, tally)
    elif token:
        _try(check, subject, CASES[subject.kind].from_token(subject, token), tally)
    else:
        _try_all(check, examples, tally)
        _judge(check, examples, tally)
    return _result(check, examples, tally, time.perf_counter() - began)


def _try_all(check: Check, examples: Examples, tally: _Tally) -> None:
    for case in examples.for_share(check.share) if examples.all else ():
        if _try(check, examples.subject, case, tally):
            _shrink(check, examples, tally)
            return
        if check.witness and tally.witnessed:
            return


def _try(check: Check, subject: Subject, case: Case[Spec] | None, tally: _Tally) -> bool:
    """Run the check once and return whether it failed, with the failure in the tally."""
    try:
        # A layer must not care, but a check that compares must not build graphs of its own either.
        with torch.no_grad(), settings_put_back():
            witnessed = check.function(subject if case is None else case)
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
        tally.failure = _failure(check, subject, case, CheckFailed(_crash(error)))
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
        examples.search(once, shrink=True)
    except (_Enough, _Fails):
        tally.failure = smaller.failure
    except Flaky:
        # The component does not do the same twice; the smallest failure is a failure all the same.
        tally.failure = smaller.failure or tally.failure


def _judge(check: Check, examples: Examples, tally: _Tally) -> None:
    """Turn what only all cases together show into a failure."""
    tried = tally.examples + tally.rejected
    if tally.failure is not None:
        return
    if not examples.all:
        reason = Counter(examples.unfit).most_common(1)[0][0] if examples.unfit else "nothing was drawn"
        hint = "give the spec an example" + (" or sample_shapes" if examples.subject.kind == "layer" else "")
        tally.failure = Failure(f"no valid case could be drawn in {len(examples.unfit)} tries ({reason}); {hint}")
    elif tally.rejected > MOST_REJECTED * tried:
        tally.failure = Failure(
            f"{tally.rejected} of {tried} examples were at a point without a derivative; the most that may be is "
            f"{MOST_REJECTED:.0%}"
        )
    elif check.witness and tally.examples and not tally.witnessed:
        tally.failure = Failure(f"not seen in any of {tally.examples} examples: {check.statement}")


def _crash(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    # Where the component's own code was left, not where torch or the kit were.
    own = [frame for frame in frames if "layerkit/testing" not in frame.filename.replace("\\", "/")]
    outside = [frame for frame in own if "site-packages" not in frame.filename] or own or list(frames)
    where = f" in {outside[-1].name}, line {outside[-1].lineno}" if outside else ""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}{where}: {first}"


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
        rejected=tally.rejected,
        unfit=len(examples.unfit),
        seconds=seconds,
        failure=tally.failure,
    )
