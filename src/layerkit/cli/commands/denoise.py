"""``layerkit denoise``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of, printer


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(), metavar="[CHECKPOINT] PICTURES...")
@click.option(
    "--output", default="denoised", show_default=True, type=click.Path(), help="Folder for the denoised pictures."
)
@click.option(
    "--strength",
    type=float,
    help="A factor for the estimated noise level: a larger one removes more.  [default: 1]",
)
@click.option(
    "--flips", is_flag=True, help="Take the mean over eight flips and turns of each picture: better, and takes longer."
)
@click.option("--tile", default=512, show_default=True, help="Side of the tiles a large picture is processed in.")
@click.option("--compare", is_flag=True, help="Also write NAME-compare.png, a comparison with classical methods.")
@click.option("--overwrite", is_flag=True, help="Replace pictures of the same name in the output folder.")
@click.pass_context
def denoise(
    ctx: click.Context,
    pictures: tuple[str, ...],
    output: str,
    strength: float | None,
    flips: bool,
    tile: int,
    compare: bool,
    overwrite: bool,
) -> None:
    """Denoise PICTURES, files or folders. Sizes, transparency and colours are kept.

    CHECKPOINT is the .safetensors file of a network that you trained. Without it the network is the one inside
    layerkit, for Gaussian and Poisson noise of any level, in colour or grey; a picture without noise is left as it is.

    Of a folder, the pictures directly in it are taken; pictures of several folders keep their tree below the output
    folder. The noise of each picture is estimated, and a warning says when it is not what the network was trained for.
    """
    from layerkit.checkpoints.checkpoint import load
    from layerkit.cli.denoising import denoise_files
    from layerkit.data.pictures import find_pictures
    from layerkit.denoising.blind import BlindDenoiser
    from layerkit.denoising.denoiser import Denoiser

    given = pictures[0] if _is_checkpoint(pictures[0]) else None
    if given is not None:
        pictures = pictures[1:]
        if not pictures:
            raise click.UsageError(f"{given} is a network; give the pictures to denoise as well")
    denoiser: Denoiser | BlindDenoiser
    noise_range = None
    loaded = None if given is None else load(given, catalogue=catalogue_of(ctx))
    times = 1.0 if strength is None else strength
    if loaded is None:
        denoiser = BlindDenoiser.pretrained(times, flips, tile)
    elif loaded.architecture.input.noise_level or strength is not None or flips:
        denoiser = BlindDenoiser.of(loaded, times, flips, tile)
    else:
        denoiser, noise_range = Denoiser(loaded.network, loaded.architecture.input.shape, tile), loaded.noise_range
        if noise_range is None:
            click.echo(f"note: {given} does not say which noise the network was trained for", err=True)
    denoise_files(
        denoiser,
        find_pictures(pictures),
        Path(output),
        printer(err=True),
        noise_range=noise_range,
        overwrite=overwrite,
        compared=compare,
    )


def _is_checkpoint(given: str) -> bool:
    """Return whether the first argument is a network and not a picture: a file without the suffix of a picture.

    The folder of a run counts as a network too, so that an error names the file in it, and its figures are not
    denoised.
    """
    from layerkit.data.pictures import FORMATS

    path = Path(given)
    if path.is_dir():
        return (path / "checkpoint.safetensors").exists()
    return path.suffix.lower() not in FORMATS
