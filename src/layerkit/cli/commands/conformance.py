"""``layerkit conformance``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli.context import catalogue_of, device_from, device_option, printer

if TYPE_CHECKING:
    import torch

    from layerkit.cli.grid import Grid
    from layerkit.registry.catalogue import Catalogue
    from layerkit.testing.cases.subjects import Subject
    from layerkit.testing.profiles import Profile
    from layerkit.testing.results import Report


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--plugin", "distributions", multiple=True, metavar="DISTRIBUTION", help="All components of a package.")
@click.option("--all", "everything", is_flag=True, help="All registered components.")
@click.option("--only", metavar="CHECK", help="Run only this check.")
@click.option("--checks", "list_checks", is_flag=True, help="List the checks and what each of them states.")
@click.option("--profile", default="default", metavar="quick|default|thorough", help="How many examples are tried.")
@click.option("--seed", default=0, show_default=True, help="The seed of the examples.")
@click.option("--replay", metavar="TOKEN", help="Run exactly the case of a failure again; needs NAME and --only.")
@click.option("--jobs", default=None, type=click.IntRange(1, 256), help="Processes; by default one for each core.")
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="Write a report, as .md or .html.")
@click.pass_context
def conformance(
    ctx: click.Context,
    names: tuple[str, ...],
    distributions: tuple[str, ...],
    everything: bool,
    only: str | None,
    list_checks: bool,
    profile: str,
    seed: int,
    replay: str | None,
    jobs: int | None,
    device: str,
    as_json: bool,
    report: Path | None,
) -> None:
    """Test layers, losses, optimizers, noises and schedules: gradients, state, shapes, layouts, persistence and more.

    With a GPU as --device each component is also held, there, to what it gives on the processor.

    The exit code is 1 when a check fails. A failure shows the smallest case that was found, and the command that
    runs it again.
    """
    import json

    from layerkit.environment import require_extra

    require_extra("testing", "the conformance kit needs", "hypothesis", "jsonschema")
    from layerkit.testing.profiles import profile_named

    if list_checks:
        _list_checks()
        return
    catalogue = catalogue_of(ctx)
    chosen = _chosen(names, distributions, everything, catalogue)
    if report is not None:
        from layerkit.testing.reporting import check_report

        check_report(report)
    where = device_from(device, say=not as_json)
    tried = None if where.type == "cpu" else where
    result = _run(chosen, only, profile_named(profile), seed, replay, jobs, tried, quiet=as_json)
    if report is not None:
        from layerkit.testing.reporting import write_report

        write_report(result, report)
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    else:
        _print(result)
    ctx.exit(1 if result.failures else 0)


def _list_checks() -> None:
    from layerkit.testing.battery import BATTERY

    for check in BATTERY:
        click.echo(f"{check.name} ({', '.join(check.kinds)}): {check.statement}")


def _chosen(
    names: tuple[str, ...], distributions: tuple[str, ...], everything: bool, catalogue: Catalogue
) -> tuple[Subject, ...]:
    from layerkit.errors import UserError
    from layerkit.testing.cases.subjects import of_distribution, subjects

    if everything:
        return subjects((), catalogue)
    if not names and not distributions:
        raise UserError("name a component, or give --plugin DISTRIBUTION or --all")
    chosen = subjects(names, catalogue) if names else ()
    for distribution in distributions:
        chosen += of_distribution(distribution, catalogue)
    return chosen


def _run(
    chosen: tuple[Subject, ...],
    only: str | None,
    profile: Profile,
    seed: int,
    replay: str | None,
    jobs: int | None,
    device: torch.device | None,
    quiet: bool,
) -> Report:
    import os

    import torch

    from layerkit.testing.running import pairs_of, run_parallel, run_subjects

    pairs_of(chosen, only, device)  # reports an unknown check at once
    jobs = jobs or os.cpu_count() or 1
    if replay or jobs == 1 or len(chosen) < 4:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the tensors are small, and threads would only wait for each other
        try:
            return run_subjects(chosen, only, profile, seed, replay, device=device)
        finally:
            torch.set_num_threads(threads)

    def done(report: Report) -> None:
        if not quiet:
            (name,) = {result.component for result in report.results}
            failed = f", {len(report.failures)} failed" if report.failures else ""
            click.echo(f"{name}: {len(report.results)} checks{failed}", err=True)

    return run_parallel(chosen, only, profile, seed, jobs, done, device)


def _table(report: Report) -> Grid:
    """Return how many checks each component passed."""
    from rich.text import Text

    from layerkit.cli.grid import Column, Grid

    numbers = ("checks", "passed", "failed", "n/a", "cases", "s")
    table = Grid([Column("component"), Column("kind"), *(Column(name, right=True) for name in numbers)])
    for (kind, name), results in report.components().items():
        outcomes = [result.outcome for result in results]
        failed = outcomes.count("failed")
        table.add(
            name,
            kind,
            str(len(results)),
            str(outcomes.count("passed")),
            Text(str(failed), style="bold red" if failed else ""),
            str(outcomes.count("not applicable")),
            str(sum(result.examples for result in results)),
            f"{sum(result.seconds for result in results):.1f}",
        )
    return table


def _print(report: Report) -> None:
    from rich.markup import escape

    console = printer()
    console.print(_table(report))
    for reason, checks in _reasons(report).items():
        console.print(f"not applicable, since {escape(reason)}: {checks}", soft_wrap=True)
    for text in report.explained():
        console.print("\n" + escape(text), soft_wrap=True)
    console.print("\n" + escape(report.summary()), soft_wrap=True)


def _reasons(report: Report) -> dict[str, str]:
    """Return, for each reason why checks did not apply, the checks and the numbers of their components."""
    found: dict[str, dict[str, int]] = {}
    for result in report.results:
        if result.outcome == "not applicable":
            counts = found.setdefault(result.reason, {})
            counts[result.check] = counts.get(result.check, 0) + 1
    return {
        reason: ", ".join(f"{check} ({count} of the components)" for check, count in counts.items())
        for reason, counts in found.items()
    }
