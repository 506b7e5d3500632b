"""``layerkit profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.context import (
    catalogue_of,
    device_from,
    device_option,
    overrides_from,
    printer,
    read_spec,
    set_option,
)

if TYPE_CHECKING:
    from layerkit.cli.grid import Grid
    from layerkit.spec.architecture import Architecture
    from layerkit.training.profiling import Profile


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--batch-size", type=click.IntRange(1, 65_536), help="Pictures in a step; by default the spec's own.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Number of threads; by default torch's.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=3.0, show_default=True, help="How long to measure.")
@device_option
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def profile(
    ctx: click.Context,
    spec: str,
    batch_size: int | None,
    threads: int | None,
    seconds: float,
    device: str,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Time every layer of the network in SPEC, a file or - for standard input, in training, forward and backward.

    The last column is the share of a layer's time that the bare matrix products of its plain formula would take. Far
    below 100 %, the layer spends its time on something else. Above, it needs fewer multiplications than that formula.
    """
    import json

    import torch

    from layerkit.arithmetic.backends import fused
    from layerkit.training.profiling import profile as measure
    from layerkit.wording import json_path

    architecture = read_spec(spec, catalogue_of(ctx), overrides_from(assignments, {}))
    if threads is not None:
        torch.set_num_threads(threads)
    training, where = architecture.training, device_from(device, say=not as_json)
    result = measure(architecture, batch_size or (training.batch_size if training else 4), seconds, where)
    if not as_json:
        printer().print(_table(architecture, result))
        return
    layers = [
        {
            "path": json_path(layer.path),
            "type": layer.layer.type,
            "container": layer.container,
            "multiply_adds": layer.multiply_adds,
            "forward_seconds": layer.forward,
            "backward_seconds": layer.backward,
            "share_of_step": (layer.forward + layer.backward) / result.step,
            "products_seconds": layer.products,
            "products_share": layer.share,
        }
        for layer in result.layers
    ]
    totals = {
        "compiled_sums": not fused.unavailable(),
        "step_seconds": result.step,
        "product_gflops": result.gflops,
        "steps": result.steps,
    }
    click.echo(
        json.dumps(
            {"name": architecture.name, "batch_size": result.batch_size, "threads": torch.get_num_threads()}
            | {"device": str(where)}
            | totals
            | {"layers": layers}
        )
    )


def _table(architecture: Architecture, result: Profile) -> Grid:
    import torch

    from layerkit.arithmetic.backends import BACKENDS
    from layerkit.cli.grid import Column, Grid

    tops = [layer for layer in result.layers if layer.depth == 0]
    rest = result.step - sum(layer.forward + layer.backward for layer in tops)
    leaves = [layer for layer in result.layers if not layer.container]
    slower = "".join(f"\nwithout {reason}" for backend in BACKENDS if (reason := backend.unavailable()))
    columns = [
        Column("Layer", total="total"),
        Column("Output", right=True),
        Column("Mult-adds", right=True, total=f"{sum(layer.multiply_adds for layer in leaves):,}"),
        Column("Forward ms", right=True, total=_milliseconds(sum(layer.forward for layer in tops))),
        Column("Backward ms", right=True, total=_milliseconds(sum(layer.backward for layer in tops))),
        Column("Of step", right=True, total=f"{1e3 * result.step:.1f} ms"),
        Column("Products", right=True, total=f"{sum(layer.products for layer in leaves) / result.step:.0%}"),
    ]
    table = Grid(
        columns,
        f"{architecture.name}: one step of {result.batch_size}, {torch.get_num_threads()} threads",
        f"medians of {result.steps} steps; bare products at {result.gflops:.0f} GFLOP/s; "
        f"rest: loss, optimizer and what lies between{slower}",
    )
    for layer in result.layers:
        copies = f" (x {len(layer.modules)})" if len(layer.modules) > 1 else ""
        table.add(
            "  " * layer.depth + layer.layer.type + copies,
            "x".join(map(str, layer.output_shape)),
            f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
            _milliseconds(layer.forward),
            _milliseconds(layer.backward),
            f"{(layer.forward + layer.backward) / result.step:.1%}",
            f"{layer.share:.0%}" if layer.share is not None else "",
            style="bold" if layer.container else "",
        )
    table.add("rest", "", "", "", "", f"{rest / result.step:.1%}", "")
    return table


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3f}"
