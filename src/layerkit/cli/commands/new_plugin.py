"""``layerkit new-plugin``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", default="layer", metavar="layer|loss|optimizer|noise|schedule", help="What it provides.")
@click.option("--output", default=".", type=click.Path(), help="Folder in which the package's folder is made.")
@click.pass_context
def new_plugin(ctx: click.Context, name: str, kind: str, output: str) -> None:
    """Write a package NAME, such as layerkit-wavelet, with one layer, loss, optimizer, noise or schedule.

    Its tests and a README come with it.
    """
    from layerkit.contracts.kinds import KINDS
    from layerkit.errors import UserError
    from layerkit.registry.scaffold import write_plugin

    kinds = {known: known for known in KINDS}
    if kind not in kinds:
        raise UserError(f'unknown kind "{kind}"; known are {", ".join(kinds)}')
    written = write_plugin(name, Path(output), catalogue_of(ctx), kinds[kind])
    for path in written:
        click.echo(path)
    folder = Path(output) / name
    click.echo(f'next: cd {folder} && pip install --editable ".[test]" && pytest')
