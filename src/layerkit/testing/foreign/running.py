"""Runs the battery on one target, makes what fails simple, and counts everything."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace

import torch

from layerkit.errors import UserError
from layerkit.testing.check import CheckFailed, NotApplicable, Rejected
from layerkit.testing.foreign.battery import FOREIGN_BATTERY, ForeignCheck
from layerkit.testing.foreign.cases import Case
from layerkit.testing.foreign.declaration import Declaration
from layerkit.testing.foreign.learning import learn
from layerkit.testing.foreign.report import GradientReport, Looked
from layerkit.testing.foreign.script import script_for
from layerkit.testing.foreign.target import Target, generators_put_back
from layerkit.testing.foreign.trial import Trial, Variation
from layerkit.testing.foreign.twice import look_twice, second_derivatives
from layerkit.testing.instruments.observation import settings_put_back
from layerkit.testing.results import Failure, expected_or_not

MOST_REJECTED = 0.2
"""The largest share of examples at a point without a derivative, unless it is declared that there are such."""
SHRINKS = 30
FIRST = ForeignCheck(
    "takes_its_example", "The example goes forward and backward, and the same twice.", "", lambda trial: iter(())
)
TWICE = ForeignCheck(
    "second_derivatives",
    "Gradients can be differentiated once more, and the result is a central difference of the gradients.",
    "what backward reads was computed in forward without a graph: compute it in backward from inputs and outputs",
    lambda trial: iter([(Case(), Variation())] if trial.declaration.twice else []),
    look_twice,
)
CHECKS = (FIRST, *FOREIGN_BATTERY, TWICE)


def run_battery(target: Target, declaration: Declaration) -> GradientReport:
    """Return what the battery says about a target.

    Raises:
        UserError: for a known failure of a check that is not there.
    """
    for name in declaration.known_failures:
        if name not in {check.name for check in CHECKS} | {"declarations"}:
            raise UserError(f'known_failures names the check "{name}"; there is none of that name')
    began = time.perf_counter()
    with generators_put_back(), settings_put_back(), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with settings_put_back():
                trial = learn(target, declaration)
        except CheckFailed as wrong:
            failure = Failure(wrong.message, guess=wrong.guess)
            looked = Looked(FIRST.name, FIRST.statement, "failed", examples=1, failure=failure)
            return GradientReport(target.name, target.kind, (looked,), seconds=time.perf_counter() - began)
        results = [Looked(FIRST.name, FIRST.statement, "passed", examples=3), _declarations(trial)]
        results += [_looked(check, trial) for check in CHECKS[1:]]
        notes = list(trial.learned.notes)
        if declaration.twice is None:
            notes.append(f"second derivatives: {second_derivatives(trial)}")
        opcheck = _opcheck(trial)
    results = [expected_or_not(result, declaration.known_failures.get(result.check, "")) for result in results]
    seconds = time.perf_counter() - began
    return GradientReport(target.name, target.kind, tuple(results), tuple(notes), opcheck, seconds)


@dataclass
class _Tally:
    examples: int = 0
    rejected: int = 0
    reason: str = ""
    wrong: CheckFailed | None = None


def _looked(check: ForeignCheck, trial: Trial) -> Looked:
    began = time.perf_counter()
    tally = _Tally()
    case, variation = Case(), Variation()
    try:
        for case, variation in check.tries(trial):
            if _try(check, trial, case, variation, tally):
                case = _shrunk(check, trial, case, variation, tally)
                break
    except NotApplicable as reason:
        tally.reason = str(reason)
    if tally.wrong is None and not trial.declaration.kinked:
        tried = tally.examples + tally.rejected
        if tally.rejected > MOST_REJECTED * tried:
            message = f"{tally.rejected} of {tried} examples were at a point without a derivative"
            advice = "declare kinked=True where that is to be expected, or choose other values for the example"
            tally.wrong = CheckFailed(message, guess=advice)
    result = Looked(
        check.name,
        check.statement,
        "failed" if tally.wrong else "passed" if tally.examples else "not applicable",
        "" if tally.examples else tally.reason or "there is nothing to try",
        tally.examples,
        tally.rejected,
        time.perf_counter() - began,
    )
    if tally.wrong is None:
        return result
    wrong = tally.wrong
    failure = Failure(
        wrong.message,
        trial.inputs.described(case) | variation.described(trial.names),
        wrong.analytic,
        wrong.numeric,
        wrong.guess or check.hint,
    )
    return replace(result, failure=failure, script=script_for(trial, check, case, variation, wrong))


def _try(check: ForeignCheck, trial: Trial, case: Case, variation: Variation, tally: _Tally) -> bool:
    """Look once and return whether it failed, with the failure in the tally."""
    try:
        check.look(trial, case, variation)
    except NotApplicable as reason:
        tally.reason = str(reason)
        return False
    except Rejected:
        # That one number everywhere is a tie, or a corner, says nothing about how many corners there are.
        tally.rejected += case.constant is None and not variation.layouts
        return False
    except CheckFailed as wrong:
        tally.examples += 1
        tally.wrong = wrong
        return True
    tally.examples += 1
    return False


def _shrunk(check: ForeignCheck, trial: Trial, case: Case, variation: Variation, tally: _Tally) -> Case:
    """Return the simplest case found in a few tries that fails as well; the tally has its failure."""
    tries, candidates, examples = SHRINKS, trial.inputs.smaller(case), tally.examples
    while tries and (candidate := next(candidates, None)) is not None:
        tries -= 1
        if _try(check, trial, candidate, variation, tally):
            case, candidates = candidate, trial.inputs.smaller(candidate)
    tally.examples = examples
    return case


def _declarations(trial: Trial) -> Looked:
    """Hold what is declared against what was found out."""
    declared, learned = trial.declaration, trial.learned
    wrong = ""
    for name, said, found in (
        ("stochastic", declared.stochastic, learned.stochastic),
        ("mixes_batch", declared.mixes_batch, learned.mixes_batch),
    ):
        if said is not None and found is not None and said != found:
            wrong = f"{name}={said} is declared, and {name}={found} is what it does"
    taken = [str(dtype).removeprefix("torch.") for dtype in (learned.dtype, *learned.dtypes)]
    for dtype in declared.dtypes:
        if dtype not in taken:
            wrong = f"it is declared to take {dtype}, and refuses it"
    return Looked(
        "declarations",
        "What is declared is what it does.",
        "failed" if wrong else "passed",
        examples=1,
        failure=Failure(wrong) if wrong else None,
    )


def _opcheck(trial: Trial) -> tuple[tuple[str, str], ...]:
    if trial.target.operator is None or not trial.declaration.opchecks:
        return ()
    values = [
        value.requires_grad_(index in trial.inputs.needing) if isinstance(value, torch.Tensor) else value
        for index, value in enumerate(trial.inputs.values(Case()))
    ]
    said = torch.library.opcheck(trial.target.operator, tuple(values), raise_exception=False)
    return tuple((test, str(outcome).splitlines()[0][:200]) for test, outcome in said.items())
