"""The kit in several processes, one component at a time in each."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch

from layerkit.contracts.specs import KindName
from layerkit.registry.catalogue import Catalogue, installed
from layerkit.registry.discovery import PluginSettings
from layerkit.testing.cases.subjects import Subject
from layerkit.testing.profiles import Profile, hypothesis_in_a_temporary_folder
from layerkit.testing.results import Report
from layerkit.testing.running import pairs_of, run_subjects


def run_parallel(
    chosen: tuple[Subject, ...],
    only: str | None,
    profile: Profile,
    seed: int,
    jobs: int,
    done: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Return what the battery says about registered components; ``done`` is called with each one's own report.

    The results are those of :func:`~layerkit.testing.running.run`, in the same order.
    """
    began = time.perf_counter()
    settings = _settings_of(chosen[0].catalogue)
    # Not forked: torch's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(chosen)), context, initializer=_prepare) as pool:
        pending = [
            pool.submit(_run_one, subject.kind, subject.name, settings, only, profile, seed)
            for subject in chosen
            if only is None or pairs_of((subject,), only)
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
    # As many processes as cores: more threads would only be in each other's way.
    torch.set_num_threads(1)


def _run_one(
    kind: KindName, name: str, settings: PluginSettings, only: str | None, profile: Profile, seed: int
) -> Report:
    catalogue = installed(settings)
    subject = Subject(catalogue.components[kind, name], catalogue)
    with hypothesis_in_a_temporary_folder():
        return run_subjects((subject,), only, profile, seed)
