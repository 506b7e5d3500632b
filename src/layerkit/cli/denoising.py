"""Picture files through a denoiser, with a bar."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import click
import torch
from rich.console import Console
from rich.progress import Progress

from layerkit.cli.works import Work
from layerkit.data.noise_level import NoiseRange, estimate_noise
from layerkit.data.pictures import Page, Picture, Scale, fitted, nominal, opened, write_pages
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.drawing.comparison import compare
from layerkit.errors import DataError, RunError, ShapeError
from layerkit.training.alone import SinglePictureDenoiser

Turn = Callable[[Work], Work | None]
"""Returns what is to be denoised next, given what would be by its place in the list; None where nothing is left."""
AnyDenoiser = Denoiser | BlindDenoiser | SinglePictureDenoiser


def _as_listed(work: Work) -> Work:
    return work


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Denoising:
    """Denoises picture files.

    Attributes:
        denoiser: the network.
        console: where the bar is shown, if it is a terminal.
        jobs: how many pictures are denoised at a time.
        noise_range: what the network was trained for; a picture with other noise gets a warning.
        turn: returns what is to be denoised next.
        heed: is called after each tile, and raises what ends the work.
    """

    denoiser: AnyDenoiser
    console: Console
    jobs: int = 1
    noise_range: NoiseRange | None = None
    turn: Turn = _as_listed
    heed: Callable[[], None] = _nothing

    def write(self, works: Sequence[Work]) -> list[str]:
        """Write the denoised version of each file, and return what kept some from being denoised, a line each.

        A picture that cannot be read, or denoised, does not stop the others.

        Raises:
            RunError: when a file cannot be written, or the network's answer is not finite.
        """
        drawing = threading.Lock()  # matplotlib is for one thread at a time
        problems = []
        with Progress(console=self.console, disable=not self.console.is_terminal) as progress:
            task = progress.add_task("denoising", total=len(works))

            def done(place: Work) -> _Said:
                work = self.turn(place)
                if work is None:
                    return _Said()
                return _denoise(work, self, drawing, lambda share: progress.advance(task, share))

            for said in _at_once(done, works, self.jobs):
                if said.problem:
                    problems.append(said.problem)
                elif said.text:
                    _say(progress, said.text)
                if said.remark:
                    _say(progress, f"warning: {said.remark}", err=True)
        return problems


def denoise_files(denoising: Denoising, works: Sequence[Work]) -> None:
    """Write the denoised version of each file.

    Raises:
        DataError, RunError: as :func:`check_all_done` does.
        RunError: when a file cannot be written, or the network's answer is not finite.
    """
    check_all_done(denoising.write(works), len(works))


def check_all_done(problems: Sequence[str], count: int) -> None:
    """Raise what kept some of ``count`` pictures from being denoised.

    Raises:
        DataError: when no picture could be denoised.
        RunError: when some could not.
    """
    if problems:
        kind = DataError if len(problems) == count else RunError
        several = f"{len(problems)} of {count} pictures could not be denoised:\n" if count > 1 else ""
        raise kind(several + "\n".join(problems))


class _Said(NamedTuple):
    """What is to be said about a file: what was done, a warning, and what kept it from being denoised."""

    text: str = ""
    remark: str = ""
    problem: str = ""


def _at_once(done: Callable[[Work], _Said], works: Sequence[Work], jobs: int) -> Iterator[_Said]:
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


def _denoise(work: Work, denoising: Denoising, drawing: threading.Lock, advance: Callable[[float], None]) -> _Said:
    """Write the denoised version of one file.

    Args:
        work: the file.
        denoising: how that is done.
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
                        denoising.heed()
                        reached(number, done / tiles, source.count)

                    result = _denoised(denoising.denoiser, picture, denoising.noise_range, tile)
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
    denoiser: AnyDenoiser, picture: Picture, noise_range: NoiseRange | None, progress: Callable[[int, int], None]
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
