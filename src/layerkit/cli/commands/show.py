"""``layerkit show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.context import catalogue_of, overrides_from, printer, read_spec, set_option

if TYPE_CHECKING:
    from layerkit.cli.grid import Grid
    from layerkit.spec.architecture import Architecture
    from layerkit.spec.tracing import Step


@click.command()
@click.argument("spec", type=click.Path())
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--diagram", type=click.Path(dir_okay=False), help="Draw the network into this .svg, .png or .pdf file.")
@click.pass_context
def show(ctx: click.Context, spec: str, assignments: tuple[str, ...], as_json: bool, diagram: str | None) -> None:
    """Print the network in SPEC, a file or - for standard input, in the form of Table I of the report.

    Output shapes and costs are for one picture.
    """
    import json

    from layerkit.spec.function import function_of
    from layerkit.spec.tracing import trace
    from layerkit.wording import json_path

    architecture = read_spec(spec, catalogue_of(ctx), overrides_from(assignments, {}))
    steps = trace(architecture.network, architecture.input.shape)
    if diagram is not None:
        from layerkit.drawing.diagram import draw_network

        draw_network(diagram, architecture.name, architecture.input.shape, steps, function_of)
    if as_json:
        rows = [
            {
                "path": json_path(step.path),
                "type": step.layer.type,
                "output_shape": step.output_shape,
                "parameters": step.parameters,
                "multiply_adds": step.multiply_adds,
                "activations": step.activations,
            }
            for step in steps
        ]
        click.echo(json.dumps({"name": architecture.name, "input_shape": architecture.input.shape, "layers": rows}))
        return
    printer().print(_table(architecture, steps))


def _table(architecture: Architecture, steps: list[Step]) -> Grid:
    from layerkit.cli.grid import Column, Grid
    from layerkit.spec.function import function_of
    from layerkit.spec.tracing import once

    leaves = [step for step in steps if not step.container]
    numbers = sum(step.activations for step in leaves)
    columns = [
        Column("Layer", total="total"),
        Column("Function", prose=True),
        Column("Output", right=True),
        Column("Parameters", right=True, total=f"{sum(step.parameters for step in leaves):,}"),
        Column("Mult-adds", right=True, total=f"{sum(step.multiply_adds for step in leaves):,}"),
        Column("Memory", right=True, total=_bytes(4 * numbers)),
    ]
    table = Grid(columns, architecture.name, architecture.description)
    table.add("input", "", _shape(architecture.input.shape), "", "", "")
    for step in once(steps):
        table.add(
            "  " * step.depth + step.layer.type,
            function_of(step.layer),
            _shape(step.output_shape),
            f"{step.parameters:,}" if step.parameters else "",
            f"{step.multiply_adds:,}" if step.multiply_adds else "",
            "" if step.container else _bytes(4 * step.activations),
            style="bold" if step.container else "",
        )
    return table


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    size = count / 1024
    for unit in ("KiB", "MiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
