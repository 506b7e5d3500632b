"""``layerkit denoise``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of, printer


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.argument("pictures", nargs=-1, required=True, type=click.Path())
@click.option("--output", required=True, type=click.Path(), help="Folder for the denoised pictures.")
@click.option("--tile", default=512, show_default=True, help="Side of the tiles a large picture is processed in.")
@click.option(
    "--compare", is_flag=True, help="Write NAME-compare.png too, with what classical methods make of the picture."
)
@click.option("--overwrite", is_flag=True, help="Replace pictures of the same name in the output folder.")
@click.pass_context
def denoise(
    ctx: click.Context,
    checkpoint: str,
    pictures: tuple[str, ...],
    output: str,
    tile: int,
    compare: bool,
    overwrite: bool,
) -> None:
    """Denoise PICTURES, files or folders, with the network in CHECKPOINT. Sizes, transparency and colours are kept.

    Of a folder, the pictures directly in it are taken; pictures of several folders keep their tree below the output
    folder. The noise of each picture is estimated, and a warning says when
    it is not what the network was trained for.
    """
    from layerkit.checkpoints.checkpoint import load
    from layerkit.cli.denoising import denoise_files
    from layerkit.data.pictures import find_pictures
    from layerkit.denoising.denoiser import Denoiser

    loaded = load(checkpoint, catalogue=catalogue_of(ctx))
    denoiser = Denoiser(loaded.network, loaded.architecture.input.shape, tile)
    if loaded.noise_range is None:
        click.echo(f"note: {checkpoint} does not say which noise the network was trained for", err=True)
    denoise_files(
        denoiser,
        find_pictures(pictures),
        Path(output),
        printer(err=True),
        noise_range=loaded.noise_range,
        overwrite=overwrite,
        compared=compare,
    )
