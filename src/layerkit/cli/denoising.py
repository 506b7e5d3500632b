"""Picture files through a denoiser, one by one, with a bar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from layerkit.denoise import Denoiser
from layerkit.errors import DataError, UserError
from layerkit.pictures import Picture, read_picture, write_picture


def denoise_files(denoiser: Denoiser, files: list[Path], output: Path, overwrite: bool, console: Console) -> None:
    """Write the denoised version of each file as a PNG of its name into ``output``.

    A picture that cannot be read does not stop the others; it is an error at the end.

    Raises:
        UserError: when two files would get one name, or a picture is there already.
        DataError: when some pictures could not be read.
    """
    targets = {file: output / f"{file.stem}.png" for file in files}
    twice = [str(target) for target, count in Counter(targets.values()).items() if count > 1]
    if twice:
        raise UserError(f"several pictures would be written as {twice[0]}; denoise them into different folders")
    existing = [str(target) for target in targets.values() if target.exists()]
    if existing and not overwrite:
        raise UserError(f"{existing[0]} exists already; use --overwrite, or another --output")
    problems = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("denoising", total=len(files))
        for file, target in targets.items():
            try:
                picture = read_picture(file)
                done = denoised(denoiser, picture)
            except DataError as error:
                problems.append(str(error))
                continue
            finally:
                progress.advance(task)
            output.mkdir(parents=True, exist_ok=True)
            write_picture(target, done)
            click.echo(f"{file} -> {target}")
    if problems:
        raise DataError("\n".join(problems))


def denoised(denoiser: Denoiser, picture: Picture) -> Picture:
    """Return the denoised picture; a grey one goes through a colour network as grey, and a coloured one through a grey
    network channel by channel. Transparency is kept as it is.
    """
    channels = denoiser.input_shape[0]
    pixels = picture.pixels
    if len(pixels) == channels:
        result = denoiser.predict(pixels[None])[0]
    elif len(pixels) == 1:
        result = denoiser.predict(pixels.expand(1, channels, -1, -1))[0].float().mean(0, keepdim=True).round().byte()
    elif channels == 1:
        result = denoiser.predict(pixels[:, None])[:, 0]
    else:
        raise DataError(f"the network takes pictures of {channels} channels, this one has {len(pixels)}")
    return Picture(result, picture.alpha)
