"""``layerkit docs``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of, printer


@click.command()
@click.argument("component", required=False)
@click.option("--output", type=click.Path(file_okay=False), help="Folder to write all pages into, as Markdown.")
@click.pass_context
def docs(ctx: click.Context, component: str | None, output: str | None) -> None:
    """Show the reference page of COMPONENT, or of all installed components: fields, ranges, formula, example."""
    import difflib

    from layerkit.cli.pages import Page
    from layerkit.disk import write_atomically
    from layerkit.errors import PluginError
    from layerkit.spec.reference import reference_pages
    from layerkit.wording import show

    pages = reference_pages(catalogue_of(ctx))
    if output is not None:
        for name, text in pages.items():
            write_atomically(Path(output) / name, text.encode())
        click.echo(f"{len(pages)} pages in {output}")
        return
    wanted = component or "index"
    found = [text for name, text in pages.items() if wanted in (name.removesuffix(".md"), name[:-3].partition("-")[2])]
    if not found:
        names = {name[:-3].partition("-")[2] or name[:-3] for name in pages}
        near = difflib.get_close_matches(wanted[:80].lower(), sorted(names), n=1)
        remedy = f'did you mean "{near[0]}"?' if near else "`layerkit docs` lists them"
        raise PluginError(f"no installed component is named {show(wanted)}; {remedy}")
    for text in found:
        printer().print(Page(text))
