"""``layerkit new-plugin``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of


@click.command("new-plugin")
@click.argument("name")
@click.option("--output", default=".", type=click.Path(), help="Folder in which the package's folder is made.")
@click.pass_context
def new_plugin(ctx: click.Context, name: str, output: str) -> None:
    """Write a package NAME, such as layerkit-wavelet, with one layer, its tests and a README."""
    from layerkit.registry.scaffold import write_plugin

    written = write_plugin(name, Path(output), catalogue_of(ctx))
    for path in written:
        click.echo(path)
    folder = Path(output) / name
    click.echo(f'next: cd {folder} && pip install --editable ".[test]" && pytest')
