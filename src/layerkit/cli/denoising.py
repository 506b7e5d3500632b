"""Picture files through a denoiser, one by one, with a bar."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from layerkit.cli.targets import renamed, targets_of
from layerkit.data.noise_level import NoiseRange, estimate_noise
from layerkit.data.pictures import Picture, read_picture, write_picture
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.drawing.comparison import compare
from layerkit.errors import DataError, ShapeError, UserError
from layerkit.training.alone import SinglePictureDenoiser


def denoise_files(
    denoiser: Denoiser | BlindDenoiser | SinglePictureDenoiser,
    files: Sequence[Path],
    output: Path,
    console: Console,
    *,
    noise_range: NoiseRange | None = None,
    overwrite: bool = False,
    compared: bool = False,
) -> None:
    """Write the denoised version of each file as a PNG below ``output``; see :mod:`layerkit.cli.targets`.

    A picture that cannot be read, or denoised, does not stop the others; it is an error at the end.

    Args:
        denoiser: the network.
        files: the pictures.
        output: a folder; it is made when there is something to write.
        console: where the bar is shown, if it is a terminal.
        noise_range: what the network was trained for; a picture with other noise gets a warning.
        overwrite: replace pictures that are there already.
        compared: write NAME-compare.png as well, beside classical methods.

    Raises:
        UserError: when a comparison would get the name of a picture, or a picture is there already.
        DataError: when some pictures could not be denoised.
    """
    targets = targets_of(files, output)
    comparisons = {file: target.with_stem(f"{target.stem}-compare") for file, target in targets.items() if compared}
    written = [*targets.values(), *comparisons.values()]
    twice = [str(target) for target, count in Counter(written).items() if count > 1]
    if twice:
        raise UserError(
            f"a picture and the comparison of another would both be written as {twice[0]}; leave out --compare, or "
            "denoise them into different folders"
        )
    existing = [str(target) for target in written if target.exists()]
    if existing and not overwrite:
        raise UserError(f"{existing[0]} exists already; use --overwrite, or another --output")
    kept = renamed(targets)
    if kept:
        click.echo(
            f"note: {len(kept)} of {len(files)} pictures keep their old ending, such as {targets[kept[0]].name}, "
            "because others have the same name without it",
            err=True,
        )
    problems = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for file, target in progress.track(targets.items(), description="denoising"):
            try:
                picture = read_picture(file)
            except DataError as error:
                problems.append(str(error))
                continue
            try:
                done, found, remark = _denoised(denoiser, picture, noise_range, progress)
            except (DataError, ShapeError) as error:
                problems.append(f"{file}: {error}")
                continue
            write_picture(target, done)
            if compared:
                compare(comparisons[file], picture.pixels, done.pixels)
            _say(progress, f"{file} -> {target}{found}")
            if remark:
                _say(progress, f"warning: {file}: {remark}", err=True)
    if problems:
        raise DataError("\n".join(problems))


def _denoised(
    denoiser: Denoiser | BlindDenoiser | SinglePictureDenoiser,
    picture: Picture,
    noise_range: NoiseRange | None,
    progress: Progress,
) -> tuple[Picture, str, str | None]:
    """Return the denoised picture, what is to be said about its noise, and a warning where it is not the network's."""
    if isinstance(denoiser, BlindDenoiser):
        result = denoiser.restore(picture.pixels)
        return Picture(result.pixels, picture.alpha), f", {result}", None
    if isinstance(denoiser, SinglePictureDenoiser):
        task = progress.add_task("training", total=None)
        try:
            alone = denoiser.restore(
                picture.pixels, progress=lambda done, steps: progress.update(task, completed=done, total=steps)
            )
        finally:
            progress.remove_task(task)
        return Picture(alone.pixels, picture.alpha), f", {alone}", None
    done, noise = denoiser.denoise(picture), estimate_noise(picture.pixels)
    if noise is None:
        return done, "", None
    remark = noise_range.remark(noise) if noise_range is not None else None
    return done, f", noise about {noise:.0f} of 255", remark


def _say(progress: Progress, text: str, *, err: bool = False) -> None:
    """Print a line, above the bar where both are on a terminal."""
    if progress.console.is_terminal and (sys.stderr if err else sys.stdout).isatty():
        progress.console.print(text, markup=False, soft_wrap=True)
    else:
        click.echo(text, err=err)
