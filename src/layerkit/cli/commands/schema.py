"""``layerkit schema``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of


@click.command()
@click.option("--output", type=click.Path(dir_okay=False), help="File to write; by default the schema is printed.")
@click.option("--experiments", is_flag=True, help="Write the schema of experiment files instead.")
@click.pass_context
def schema(ctx: click.Context, output: str | None, experiments: bool) -> None:
    """Write the JSON Schema of architecture files, with every installed component, for editors and validators.

    In a file that refers to it, {"$schema": "./architecture.schema.json", ...}, editors offer completion and hover
    text.
    """
    import json

    from layerkit.disk import write_atomically
    from layerkit.experiments.schema import experiment_schema
    from layerkit.spec.schema import architecture_schema

    content = experiment_schema() if experiments else architecture_schema(catalogue_of(ctx))
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomically(output, text.encode())
        click.echo(output)
