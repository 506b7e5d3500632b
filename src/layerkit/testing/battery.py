"""All checks, in the order in which they are run and reported."""

from __future__ import annotations

import difflib
from types import ModuleType

import torch

from layerkit.contracts.specs import KindName
from layerkit.errors import UserError
from layerkit.testing.check import Check
from layerkit.testing.checks import (
    beginnings,
    composition,
    declarations,
    determinism,
    gradients,
    large,
    layout,
    loss_bounds,
    losses,
    memory,
    noise_draws,
    noises,
    on_purpose,
    optimizer_runs,
    optimizers,
    oracle,
    persistence,
    processes,
    registration,
    resuming,
    schedules,
    sequences,
    shapes,
    state,
    surroundings,
    threads,
)
from layerkit.testing.checks.device import same_on


def _checks_in(*modules: ModuleType) -> tuple[Check, ...]:
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Check))


BATTERY: tuple[Check, ...] = _checks_in(
    registration,
    determinism,
    shapes,
    gradients,
    composition,
    large,
    beginnings,
    state,
    memory,
    declarations,
    processes,
    layout,
    persistence,
    resuming,
    threads,
    losses,
    loss_bounds,
    optimizers,
    optimizer_runs,
    noises,
    noise_draws,
    schedules,
    sequences,
    surroundings,
    on_purpose,
    oracle,
)


def checks_for(kind: KindName, device: torch.device | None = None) -> tuple[Check, ...]:
    """Return the battery of one kind of component, with the check of a device where one is given."""
    checks = BATTERY if device is None else (*BATTERY, same_on(device))
    return tuple(check for check in checks if kind in check.kinds)


def check_named(name: str) -> Check:
    """Return the check of that name.

    Raises:
        UserError: when there is none.
    """
    known = {check.name: check for check in (*BATTERY, same_on(torch.device("meta")))}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{near[0]}"?' if near else "layerkit conformance --checks lists them"
    raise UserError(f'unknown check "{name}"; {hint}')
