"""``layerkit export``."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from layerkit.cli.context import catalogue_of


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option(
    "--to",
    "to",
    required=True,
    type=click.Choice(["onnx", "torch", "safetensors-hub"]),
    help="ONNX; a module of torch.nn as Python beside its weights; a folder as model hubs have it.",
)
@click.option("--output", type=click.Path(), help="Folder to write.  [default: exported/NAME-FORMAT]")
@click.option("--overwrite", is_flag=True, help="Replace the folder if it is there already.")
@click.pass_context
def export(ctx: click.Context, checkpoint: str, to: str, output: str | None, overwrite: bool) -> None:
    """Write the network in CHECKPOINT for other programs.

    The export is loaded again and compared with the network, on pictures of several sizes, before the folder appears.
    """
    from layerkit.exchange.export import Format
    from layerkit.exchange.export import export as write

    folder = Path(output) if output is not None else Path("exported") / f"{_name(Path(checkpoint))}-{to}"
    done = write(Path(checkpoint), cast(Format, to), folder, overwrite, catalogue_of(ctx))
    shapes = ", ".join("x".join(map(str, shape)) for shape in done.shapes)
    click.echo(f"compared on {shapes}, 1 and 3 at a time: the answers differ by {done.difference:.1e} at most")
    click.echo(f"written: {', '.join(str(done.folder / name) for name in done.files)}")


def _name(path: Path) -> str:
    """Return what an export of a checkpoint is called: the folder of its run, or the file."""
    return path.resolve().parent.name if path.name == "checkpoint.safetensors" else path.stem
