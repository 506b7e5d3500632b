"""``layerkit denoise``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli.context import catalogue_of, device_from, device_option, printer
from layerkit.distributed.launch import processes_of_torchrun

if TYPE_CHECKING:
    import torch

    from layerkit.cli.denoising import Denoising


def _share(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, int]:
    """Return the number of a share of the work, from 1, and how many there are: ``3/64``."""
    number, _, shares = value.partition("/")
    if not (number.isdecimal() and shares.isdecimal()) or not 1 <= int(number) <= int(shares):
        raise click.BadParameter(f"{value} is no share; expected K/N, with K from 1 to N, such as 3/64", ctx, param)
    return int(number), int(shares)


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
@click.option(
    "--alone",
    is_flag=True,
    help="Train a small network on each picture and nothing else, and denoise the picture by it.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=1),
    help="Side of the tiles a large picture is processed in.  [default: 512, on a GPU what its memory allows]",
)
@device_option
@click.option("--compare", is_flag=True, help="Also write NAME-compare.png, a comparison with classical methods.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["png", "same"]),
    default="png",
    show_default=True,
    help="Write PNG files, of 8 or 16 bits, or each picture in its own format, JPEG with quality 95. What PNG cannot "
    "hold, floats and pages, becomes TIFF.",
)
@click.option("--recursive", is_flag=True, help="Also take the pictures in subfolders.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Pictures denoised at a time.")
@click.option(
    "--shard",
    callback=_share,
    default="1/1",
    metavar="K/N",
    help="Of N equal shares of the pictures, for N machines, denoise only the Kth.",
)
@click.option("--overwrite", is_flag=True, help="Replace pictures of the same name in the output folder.")
@click.option("--skip-existing", is_flag=True, help="Leave out pictures whose denoised versions are there already.")
@click.pass_context
def denoise(
    ctx: click.Context,
    pictures: tuple[str, ...],
    output: str,
    strength: float | None,
    flips: bool,
    alone: bool,
    tile: int | None,
    device: str,
    compare: bool,
    file_format: str,
    recursive: bool,
    jobs: int,
    shard: tuple[int, int],
    overwrite: bool,
    skip_existing: bool,
) -> None:
    """Denoise PICTURES, files or folders. Sizes, bits, transparency, colours and what cameras wrote are kept.

    CHECKPOINT is the .safetensors file of a network that you trained. Without it the network is the one inside
    layerkit, for Gaussian and Poisson noise of any level, in colour or grey; a picture without noise is left as it is.

    With --alone there is no network beforehand: one is trained on each picture, in some ten seconds.

    Pictures are PNG, JPEG, TIFF, WebP, GIF and BMP files with one picture or many, numpy's .npy and .npz, and, with
    the extra layerkit[raw], the RAW files of cameras and HEIC. Of a folder, the pictures directly in it are taken;
    pictures of several folders keep their tree below the output folder. The noise of each picture is estimated, and a
    warning says when it is not what the network was trained for.

    Under torchrun several processes share the pictures, as in: torchrun --nproc-per-node 2 -m layerkit denoise PICTURES
    """
    from layerkit.cli.denoising import denoise_files
    from layerkit.cli.works import Order, Work, works_of
    from layerkit.data.pictures import SUFFIXES, find_pictures

    if overwrite and skip_existing:
        raise click.UsageError("--overwrite and --skip-existing exclude each other")
    given = pictures[0] if _is_checkpoint(pictures[0]) else None
    if given is not None:
        pictures = pictures[1:]
        if not pictures:
            raise click.UsageError(f"{given} is a network; give the pictures to denoise as well")
    if alone and (given is not None or strength is not None or flips):
        raise click.UsageError("--alone trains a network of its own; leave out the checkpoint, --strength and --flips")

    def plan() -> list[Work]:
        files = find_pictures(pictures, suffixes=SUFFIXES, recursive=recursive, leave_out=Path(output))
        return works_of(files, Path(output), Order(overwrite, skip_existing, compare, file_format == "same", shard))

    group = processes_of_torchrun()

    def denoising(notes: bool) -> Denoising:
        where = device_from(device, processes=group, say=notes)
        return _denoising(ctx, given, strength, flips, alone, tile, where, jobs, notes)

    if group is None:
        denoise_files(denoising(notes=True), plan())
        return
    from layerkit.cli.shared_denoising import denoise_together

    denoise_together(group, denoising, plan)


def _denoising(
    ctx: click.Context,
    checkpoint: str | None,
    strength: float | None,
    flips: bool,
    alone: bool,
    tile: int | None,
    device: torch.device,
    jobs: int,
    notes: bool,
) -> Denoising:
    """Return how pictures are denoised; with ``notes`` it is said what is remarkable about that."""
    from layerkit.checkpoints.checkpoint import load
    from layerkit.cli.denoising import Denoising
    from layerkit.denoising.blind import BlindDenoiser
    from layerkit.denoising.denoiser import Denoiser
    from layerkit.training.alone import SinglePictureDenoiser

    console, times = printer(err=True), 1.0 if strength is None else strength
    if alone:
        return Denoising(SinglePictureDenoiser(tile=tile, device=device), console, jobs)
    if checkpoint is None:
        return Denoising(BlindDenoiser.pretrained(times, flips, tile, device), console, jobs)
    loaded = load(checkpoint, catalogue=catalogue_of(ctx, notes), device=device)
    if loaded.architecture.input.noise_level or strength is not None or flips:
        return Denoising(BlindDenoiser.of(loaded, times, flips, tile), console, jobs)
    if loaded.noise_range is None and notes:
        click.echo(f"note: {checkpoint} does not say which noise the network was trained for", err=True)
    denoiser = Denoiser(loaded.network, loaded.architecture.input.shape, tile)
    return Denoising(denoiser, console, jobs, loaded.noise_range)


def _is_checkpoint(given: str) -> bool:
    """Return whether the first argument is a network and not a picture: a file without the suffix of a picture.

    The folder of a run counts as a network too, so that an error names the file in it, and its figures are not
    denoised.
    """
    from layerkit.data.pictures import SUFFIXES

    path = Path(given)
    if path.is_dir():
        return (path / "checkpoint.safetensors").exists()
    return path.suffix.lower() not in SUFFIXES
