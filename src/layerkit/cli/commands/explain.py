"""``layerkit explain``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of, overrides_from, read_spec, set_option


@click.command()
@click.argument("spec", type=click.Path())
@set_option
@click.option("--layer", "place", metavar="PATH", help="Show only this layer, such as layers[3].")
@click.option(
    "--size", type=click.IntRange(1, 64), help="Height and width of the input.  [default: the smallest from 3]"
)
@click.option("--seed", default=0, show_default=True, help="Draws the weights, the input and the target.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page instead of printing.")
@click.pass_context
def explain(
    ctx: click.Context,
    spec: str,
    assignments: tuple[str, ...],
    place: str | None,
    size: int | None,
    seed: int,
    html: str | None,
) -> None:
    """Show one training step of the network in SPEC on a tiny input, with every number.

    Each layer's formula is followed by its numbers, forward and backward, and by its gradients compared with finite
    differences.
    """
    from layerkit.disk import write_atomically
    from layerkit.errors import UserError
    from layerkit.explaining.layer import explained
    from layerkit.explaining.text import lines
    from layerkit.explaining.walk import walk

    architecture = read_spec(spec, catalogue_of(ctx), overrides_from(assignments, {}))
    walked = walk(architecture, seed, size)
    chosen = [passed for passed in walked.layers if place is None or passed.place == place]
    if not chosen:
        places = ", ".join(dict.fromkeys(passed.place for passed in walked.layers))
        raise UserError(f"there is no layer {place}; there are {places}")
    layers = [explained(passed) for passed in chosen]
    if html is None:
        for line in lines(walked, layers):
            click.echo(line)
        return
    from layerkit.explaining.page import page

    write_atomically(html, page(architecture.name, walked, layers).encode())
    click.echo(f"written: {html}")
