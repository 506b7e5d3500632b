"""``layerkit experiment``."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from layerkit.cli.context import catalogue_of, command_line, device_from, device_option

if TYPE_CHECKING:
    from layerkit.experiments.database_url import DatabaseURL


def _storage(ctx: click.Context, param: click.Parameter, value: str | None) -> DatabaseURL | None:
    """Return the URL as what shows no password, in the command that goes on with a sweep for instance."""
    from layerkit.experiments.database_url import DatabaseURL

    return None if value is None else DatabaseURL(value)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--data", default="photos", show_default=True, metavar="SOURCE", help="As for train.")
@click.option("--quick", is_flag=True, help="Train the short forms defined in the files, as a quick test.")
@click.option("--redraw", is_flag=True, help="Train nothing; draw the page from existing results.")
@click.option("--output", type=click.Path(), help="Folder for everything; by default runs/report or runs/report-quick.")
@click.option(
    "--storage",
    callback=_storage,
    metavar="URL",
    help="A PostgreSQL database, postgresql://USER@HOST/DATABASE, through which machines without a common folder share "
    "the trials. A password is better kept in PGPASSWORD or ~/.pgpass.",
)
@device_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors and the page's name.")
@click.pass_context
def experiment(
    ctx: click.Context,
    files: tuple[str, ...],
    data: str,
    quick: bool,
    redraw: bool,
    output: str | None,
    storage: DatabaseURL | None,
    device: str,
    quiet: bool,
) -> None:
    """Run the experiments in FILES and write a page that compares their figures and tables with the report's.

    A trial that has a result is not trained again for any figure, so a sweep that was stopped is continued by the same
    command. The same command may be run in several processes, also on several machines that share the folder, or a
    database; they divide the trials among them.
    """
    from pathlib import Path

    from layerkit.environment import require_extra

    require_extra("experiments", "experiments need", "jinja2")
    from layerkit.cli.sweeping import run_experiments
    from layerkit.data.sources import anywhere
    from layerkit.experiments.store import Store

    source = anywhere(data)
    folder = Path(output or ("runs/report-quick" if quick else "runs/report"))
    with ExitStack() as stack:
        store = Store(folder)
        if storage is not None:
            require_extra("storage", "a sweep that is shared through a database needs", "psycopg")
            from layerkit.experiments.database import DatabaseStore

            store = stack.enter_context(closing(DatabaseStore(folder, storage)))
        run_experiments(
            files,
            source,
            store,
            catalogue_of(ctx),
            quick=quick,
            redraw=redraw,
            quiet=quiet,
            command=command_line(ctx),
            device=device_from(device, say=not quiet),
        )
