"""Picture files through a denoiser, with a bar."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import torch
from rich.console import Console
from rich.progress import Progress

from layerkit.cli.targets import renamed, suffix_of, targets_of
from layerkit.data.noise_level import NoiseRange, estimate_noise
from layerkit.data.pictures import Page, Picture, Scale, fitted, nominal, opened, write_pages
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.drawing.comparison import compare
from layerkit.errors import DataError, RunError, ShapeError, UserError
from layerkit.training.alone import SinglePictureDenoiser


@dataclass(frozen=True)
class Order:
    """How files are to be denoised.

    Attributes:
        overwrite: whether files that are there already are replaced.
        skip_existing: whether their pictures are left out.
        compared: whether NAME-compare.png is written as well, beside classical methods.
        same_format: whether each picture keeps its format, where that can be written.
        jobs: how many pictures are denoised at a time.
        shard: a number from 1 and how many shares there are; of all pictures, that share alone is denoised.
    """

    overwrite: bool = False
    skip_existing: bool = False
    compared: bool = False
    same_format: bool = False
    jobs: int = 1
    shard: tuple[int, int] = (1, 1)


def denoise_files(
    denoiser: Denoiser | BlindDenoiser | SinglePictureDenoiser,
    files: Sequence[Path],
    output: Path,
    console: Console,
    order: Order,
    noise_range: NoiseRange | None = None,
) -> None:
    """Write the denoised version of each file below ``output``; see :mod:`layerkit.cli.targets`.

    A picture that cannot be read, or denoised, does not stop the others; it is an error at the end.

    Args:
        denoiser: the network.
        files: the pictures.
        output: a folder; it is made when there is something to write.
        console: where the bar is shown, if it is a terminal.
        order: how they are to be denoised.
        noise_range: what the network was trained for; a picture with other noise gets a warning.

    Raises:
        UserError: when a comparison would get the name of a picture, or a picture is there already.
        DataError: when no picture could be denoised.
        RunError: when some could not.
    """
    works = _works(files, output, order)
    drawing = threading.Lock()  # matplotlib is for one thread at a time
    problems = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("denoising", total=len(works))

        def done(work: _Work) -> _Said:
            return _denoise(work, denoiser, noise_range, drawing, lambda share: progress.advance(task, share))

        for said in _at_once(done, works, order.jobs):
            if said.problem:
                problems.append(said.problem)
            else:
                _say(progress, said.text)
            if said.remark:
                _say(progress, f"warning: {said.remark}", err=True)
    if problems:
        kind = DataError if len(problems) == len(works) else RunError
        several = f"{len(problems)} of {len(works)} pictures could not be denoised:\n" if len(works) > 1 else ""
        raise kind(several + "\n".join(problems))


class _Work(NamedTuple):
    """A file, where its denoised version goes, and the comparison, if there is to be one."""

    file: Path
    target: Path
    comparison: Path | None


class _Said(NamedTuple):
    """What is to be said about a file: what was done, a warning, and what kept it from being denoised."""

    text: str = ""
    remark: str = ""
    problem: str = ""


def _works(files: Sequence[Path], output: Path, order: Order) -> list[_Work]:
    """Return what there is to do, and say what is remarkable about it.

    Raises:
        UserError: when two files would get one name, or a file is there already.
    """
    # The names depend on all files, whatever the share of them is: shares of one folder go into one folder.
    targets = targets_of(files, output, {file: suffix_of(file, order.same_format) for file in files})
    works = [
        _Work(file, target, target.with_name(f"{target.stem}-compare.png") if order.compared else None)
        for file, target in targets.items()
    ]
    counts = Counter(path for work in works for path in _written(work))
    twice = [str(path) for path, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"a picture and the comparison of another would both be written as {twice[0]}; leave out --compare, or "
            "denoise them into different folders"
        )
    number, shares = order.shard
    works = works[number - 1 :: shares]
    if order.skip_existing:
        rest = [work for work in works if not work.target.exists()]
        if len(rest) < len(works):
            left_out = len(works) - len(rest)
            click.echo(f"note: {left_out} of {len(works)} pictures are there already, and skipped", err=True)
        works = rest
    elif not order.overwrite:
        existing = next((path for work in works for path in _written(work) if path.exists()), None)
        if existing is not None:
            raise UserError(f"{existing} exists already; use --overwrite or --skip-existing, or another --output")
    kept = renamed({work.file: work.target for work in works})
    if kept:
        click.echo(
            f"note: {len(kept)} of {len(works)} pictures keep their old ending, such as {targets[kept[0]].name}, "
            "because others have the same name without it",
            err=True,
        )
    return works


def _written(work: _Work) -> list[Path]:
    return [work.target] if work.comparison is None else [work.target, work.comparison]


def _at_once(done: Callable[[_Work], _Said], works: Iterable[_Work], jobs: int) -> Iterator[_Said]:
    """Yield what is said about each file, in their order, while so many are worked on."""
    if jobs == 1:
        yield from map(done, works)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // jobs))
    try:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                yield from pool.map(done, works)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(threads)


def _denoise(
    work: _Work,
    denoiser: Denoiser | BlindDenoiser | SinglePictureDenoiser,
    noise_range: NoiseRange | None,
    drawing: threading.Lock,
    advance: Callable[[float], None],
) -> _Said:
    """Write the denoised version of one file.

    Args:
        work: the file.
        denoiser, noise_range: as in :func:`denoise_files`.
        drawing: is held while a comparison is drawn.
        advance: is told which share of the file has been done, 1 in all.
    """
    found: list[str] = []
    remarks: list[str] = []
    so_far = 0.0

    def reached(page: int, share: float, pages: int) -> None:
        nonlocal so_far
        advance((page + share) / pages - so_far)
        so_far = (page + share) / pages

    try:
        with opened(work.file) as source:

            def pages() -> Iterator[Page]:
                for number, page in enumerate(source.pages()):
                    picture = page.picture

                    def tile(done: int, tiles: int, number: int = number) -> None:
                        reached(number, done / tiles, source.count)

                    result = _denoised(denoiser, picture, noise_range, tile)
                    found.append(result.found)
                    if result.remark:
                        remarks.append(result.remark)
                    if work.comparison is not None and number == 0:
                        with drawing:
                            compare(work.comparison, picture.pixels, result.picture.pixels, result.scale)
                    yield Page(result.picture, page.duration)

            write_pages(work.target, pages(), source)
    except (DataError, ShapeError) as error:
        text = str(error)
        return _Said(problem=text if text.startswith(f"{work.file}: ") else f"{work.file}: {text}")
    finally:
        reached(0, 1, 1)
    text = f"{work.file} -> {work.target}"
    text += f", {source.count} pictures, the first" if source.count > 1 else ""
    text += f", {found[0]}" if found[0] else ""
    text += f" ({source.note})" if source.note else ""
    return _Said(text, f"{work.file}: {remarks[0]}" if remarks else "")


class _Result(NamedTuple):
    """A denoised picture, what is to be said about its noise, a warning, and what was taken for black and white."""

    picture: Picture
    found: str
    remark: str
    scale: Scale


def _denoised(
    denoiser: Denoiser | BlindDenoiser | SinglePictureDenoiser,
    picture: Picture,
    noise_range: NoiseRange | None,
    progress: Callable[[int, int], None],
) -> _Result:
    pixels = picture.pixels
    if isinstance(denoiser, BlindDenoiser):
        result = denoiser.restore(pixels, progress=progress, scale=fitted(pixels))
        return _Result(Picture(result.pixels, picture.alpha), str(result), "", result.scale)
    if isinstance(denoiser, SinglePictureDenoiser):
        scale = fitted(pixels)
        alone = denoiser.restore(pixels, progress=progress, scale=scale)
        return _Result(Picture(alone.pixels, picture.alpha), str(alone), "", scale)
    scale = nominal(pixels)
    done, noise = denoiser.denoise(picture), estimate_noise(scale.values(pixels).div_(255))
    if noise is None:
        return _Result(done, "", "", scale)
    remark = noise_range.remark(noise) if noise_range is not None else None
    return _Result(done, f"noise about {noise:.0f} of 255", remark or "", scale)


def _say(progress: Progress, text: str, *, err: bool = False) -> None:
    """Print a line, above the bar where both are on a terminal."""
    if progress.console.is_terminal and (sys.stderr if err else sys.stdout).isatty():
        progress.console.print(text, markup=False, soft_wrap=True)
    else:
        click.echo(text, err=err)
