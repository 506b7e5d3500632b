"""``layerkit plugins``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of, printer


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the plugins that are installed, what each provides, and why one is not used."""
    import json

    from layerkit.cli.grid import Column, Grid

    catalogue = catalogue_of(ctx, notes=False)
    if as_json:
        rows = [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "module": plugin.module,
                "status": plugin.status,
                "reason": plugin.reason,
                "note": plugin.note,
                "components": [{"kind": kind, "name": name} for kind, name in plugin.components],
            }
            for plugin in catalogue.plugins
        ]
        click.echo(json.dumps(rows))
        return
    table = Grid([Column("Package"), Column("Plugin"), Column("Status"), Column("Provides", prose=True)])
    for plugin in catalogue.plugins:
        provides = plugin.reason or "; ".join(_provided(plugin.components))
        provides += f" (note: {plugin.note})" if plugin.note else ""
        table.add(f"{plugin.distribution} {plugin.version}", plugin.name, plugin.status, provides)
    printer().print(table)


def _provided(components: tuple[tuple[str, str], ...]) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for kind, name in components:
        kinds.setdefault(kind, []).append(name)
    return [f"{kind}: {', '.join(names)}" for kind, names in kinds.items()]
