"""Runs the battery of checks on components, in this process or in several."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

import torch

from layerkit.contracts.specs import KindName
from layerkit.errors import UserError
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.registry.discovery import PluginSettings
from layerkit.testing.battery import check_named, checks_for
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.subjects import Subject, subjects
from layerkit.testing.check import Check
from layerkit.testing.engine import run_check
from layerkit.testing.profiles import Profile, profile_named
from layerkit.testing.results import Report, Result, expected_or_not

KnownFailures = Mapping[str, str] | Mapping[str, Mapping[str, str]]
"""{check: reason}, or {component: {check: reason}}."""


def run(
    *what: object,
    only: str | None = None,
    profile: str | Profile = "default",
    seed: int = 0,
    replay: str | None = None,
    known_failures: KnownFailures | None = None,
    catalogue: Catalogue | None = None,
    progress: Callable[[Result], None] | None = None,
    device: torch.device | None = None,
) -> Report:
    """Return what the battery says about components.

    Args:
        what: names of components or distributions, spec classes or plugin modules; nothing for all that is registered.
        only: the name of a single check.
        profile: quick, default or thorough.
        seed: of the examples; the same seed gives the same ones.
        replay: the token of a failure, whose very case is run again.
        known_failures: reasons by check, or by component and check. They are strict: one that passes is a failure.
        catalogue: of what may stand in containers; by default everything installed.
        progress: is called with each result.
        device: on which each component is held to what it gives on the processor; None for no such check.

    Raises:
        UserError: for a name that nothing has.
    """
    chosen, profile = subjects(what, catalogue), profile_named(profile)
    return run_subjects(chosen, only, profile, seed, replay, known_failures, progress, device)


def run_subjects(
    chosen: tuple[Subject, ...],
    only: str | None,
    profile: Profile,
    seed: int = 0,
    replay: str | None = None,
    known_failures: KnownFailures | None = None,
    progress: Callable[[Result], None] | None = None,
    device: torch.device | None = None,
) -> Report:
    """Return what the battery says about these subjects; see :func:`run`."""
    began = time.perf_counter()
    pairs = pairs_of(chosen, only, device)
    if replay and len(pairs) != 1:
        raise UserError("a token stands for one case of one check: name the component, and the check with --only")
    check_known_failures(known_failures, chosen)
    results = []
    examples = {id(subject): Examples(subject, profile, seed) for subject in chosen}
    for subject, check in pairs:
        result = run_check(check, examples[id(subject)], replay or "", alone=only is not None)
        result = expected_or_not(result, known_reason(known_failures, subject, check))
        results.append(result)
        if progress:
            progress(result)
    return Report(tuple(results), profile.name, seed, time.perf_counter() - began)


def run_parallel(
    chosen: tuple[Subject, ...],
    only: str | None,
    profile: Profile,
    seed: int,
    jobs: int,
    done: Callable[[Report], None] = lambda report: None,
    device: torch.device | None = None,
) -> Report:
    """Return what the battery says about registered components; ``done`` is called with each one's own report.

    Several processes take a component at a time each. The results are those of :func:`run`, in the same order.
    """
    began = time.perf_counter()
    tested = {id(subject) for subject, _ in pairs_of(chosen, only, device)}
    settings = _settings_of(chosen[0].catalogue)
    # Not forked from here, because torch's threads do not survive that, but from a process that only imported the kit.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(min(jobs, len(chosen)), context, initializer=_prepare) as pool:
        pending = [
            pool.submit(_run_one, subject.kind, subject.name, settings, only, profile, seed, device)
            for subject in chosen
            if id(subject) in tested
        ]
        reports = []
        for future in pending:
            reports.append(future.result())
            done(reports[-1])
    results = tuple(result for report in reports for result in report.results)
    return Report(results, profile.name, seed, time.perf_counter() - began)


def _settings_of(catalogue: Catalogue) -> PluginSettings:
    blocked = {plugin.distribution for plugin in catalogue.plugins if plugin.status == "blocked"}
    return PluginSettings(without=frozenset(blocked))


def _prepare() -> None:
    # There are as many processes as cores, so more threads would only slow each other down.
    torch.set_num_threads(1)
    gc.freeze()  # what has been imported stays, and need not be looked at again and again


def _run_one(
    kind: KindName,
    name: str,
    settings: PluginSettings,
    only: str | None,
    profile: Profile,
    seed: int,
    device: torch.device | None,
) -> Report:
    catalogue = installed(settings)
    subject = Subject(catalogue.components[kind, name], catalogue)
    return run_subjects((subject,), only, profile, seed, device=device)


def pairs_of(
    chosen: tuple[Subject, ...], only: str | None = None, device: torch.device | None = None
) -> list[tuple[Subject, Check]]:
    """Return every subject with every check of its kind, or with the one check of that name.

    Raises:
        UserError: when no check of that name is for any of these kinds.
    """
    wanted = check_named(only) if only else None
    pairs = [
        (subject, check)
        for subject in chosen
        for check in checks_for(subject.kind, device)
        if wanted is None or wanted.name == check.name
    ]
    if not pairs and wanted:
        kinds = " and ".join(wanted.kinds)
        raise UserError(f'the check "{wanted.name}" is for components of the kind {kinds}, and none was chosen')
    return pairs


def check_known_failures(known: KnownFailures | None, chosen: tuple[Subject, ...]) -> None:
    """Refuse known failures of checks or components that are not there.

    Raises:
        UserError: with the first such name.
    """
    for name, value in (known or {}).items():
        if isinstance(value, str):
            check_named(name)
            continue
        if name not in {subject.name for subject in chosen}:
            raise UserError(f'known failures name the component "{name}", which is not among those tested')
        for check in value:
            check_named(check)


def known_reason(known: KnownFailures | None, subject: Subject, check: Check) -> str:
    """Return why ``subject`` is known to fail ``check``; nothing where it is not."""
    own = (known or {}).get(subject.name)
    found = own.get(check.name) if isinstance(own, Mapping) else (known or {}).get(check.name)
    return found if isinstance(found, str) else ""
