"""``layerkit denoise``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of, printer


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.argument("pictures", nargs=-1, required=True, type=click.Path())
@click.option("--output", required=True, type=click.Path(), help="Folder for the denoised pictures.")
@click.option("--tile", default=256, show_default=True, help="Side of the tiles a large picture is processed in.")
@click.option("--overwrite", is_flag=True, help="Replace pictures of the same name in the output folder.")
@click.pass_context
def denoise(
    ctx: click.Context, checkpoint: str, pictures: tuple[str, ...], output: str, tile: int, overwrite: bool
) -> None:
    """Denoise PICTURES, files or folders, with the network in CHECKPOINT. Sizes, transparency and colours are kept."""
    from layerkit.checkpoint import load
    from layerkit.cli.denoising import denoise_files
    from layerkit.denoise import Denoiser
    from layerkit.pictures import find_pictures

    loaded = load(checkpoint, catalogue=catalogue_of(ctx))
    denoiser = Denoiser(loaded.network, loaded.architecture.input.shape, tile)
    denoise_files(denoiser, find_pictures(pictures), Path(output), overwrite, printer(err=True))
