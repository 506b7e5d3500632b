"""Picture files that several processes denoise, as torchrun has started them.

Rank 0 decides what there is to do. A picture that is more than the share of one process is denoised first, by all of
them, each some of its tiles. The others are taken one by one, the largest first, by whichever process is free: a slow
machine takes fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace

import click
from rich.console import Console
from torch import Tensor

from layerkit.cli.denoising import AnyDenoiser, Denoising, check_all_done
from layerkit.cli.works import Work
from layerkit.data.noise_model import NoiseModel
from layerkit.data.pictures import Scale
from layerkit.denoising.blind import BlindDenoiser
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.shared_tiles import SharedTiles
from layerkit.distributed.group import Processes
from layerkit.errors import LayerkitError, StoppedError
from layerkit.training.alone import SinglePictureDenoiser
from layerkit.training.interruption import interruptible


def denoise_together(group: Processes, denoising: Callable[[bool], Denoising], plan: Callable[[], list[Work]]) -> None:
    """Write the denoised version of each file, all processes together.

    Args:
        group: the processes.
        denoising: returns how it is done, given whether to say what is remarkable about that.
        plan: returns what there is to do; called in rank 0 alone.

    Raises:
        DataError, RunError: in rank 0, when pictures could not be denoised; the others leave with the same exit code.
        StoppedError: when they are asked to stop.
        ProcessError: when a process fails or is lost.
    """
    first = group.rank == 0
    with group.ending_together(), interruptible() as group.asked_to_stop:
        try:
            # Without a bar: all processes print their lines.
            quiet = replace(denoising(first), console=Console(force_terminal=False), heed=group.heed)
            failed = _denoise_together(group, quiet, plan)
        except StoppedError as stop:
            if not first:
                raise
            text = "stopped; what is denoised is there, and --skip-existing goes on with the rest"
            raise StoppedError(text, stop.signal) from None
    if failed is not None:
        raise failed if first else click.exceptions.Exit(failed.exit_code)


def _denoise_together(group: Processes, denoising: Denoising, plan: Callable[[], list[Work]]) -> LayerkitError | None:
    """Denoise all pictures, and return the error about those that could not be; the same everywhere."""
    tiles, message = SharedTiles(group), None
    problems: list[str] = []
    sharing = denoising.denoiser
    if not isinstance(sharing, SinglePictureDenoiser):  # which would have to be trained first, in every process
        sharing = copy(sharing)
        sharing.share = tiles
    if group.rank == 0:
        together, apart = divided(plan(), group.size, tiled=sharing is not denoising.denoiser)
        problems += replace(denoising, denoiser=sharing, jobs=1).write(together)
        tiles.dismiss()
        message = {"together": len(together), "apart": [work.to_data() for work in apart]}
    else:
        tiles.follow(lambda pixels, scale, noise: _restore(sharing, pixels, scale, noise, group.heed))
    told = group.from_first(message)
    works = [Work.from_data(data) for data in told["apart"]]
    problems += replace(denoising, turn=_Turns(group, works)).write(works)
    several = group.board.gather("problems", problems)
    try:
        check_all_done([problem for each in several for problem in each], told["together"] + len(works))
    except LayerkitError as error:
        return error
    return None


class _Turns:
    """Gives each picture to one process, whichever asks first."""

    def __init__(self, group: Processes, works: Sequence[Work]) -> None:
        self._group, self._works, self._ended = group, works, False

    def __call__(self, _: Work) -> Work | None:
        """Return the next picture; None where no one is left."""
        number = len(self._works) if self._ended else self._group.board.take("picture")
        if number < len(self._works):
            return self._works[number]
        self._ended = True
        return None


def divided(works: Sequence[Work], processes: int, tiled: bool) -> tuple[list[Work], list[Work]]:
    """Return the pictures that are denoised by all processes together, and the others, the largest first.

    Args:
        works: of all pictures; the sizes of their files stand for the time that they take.
        processes: that share them.
        tiled: whether pictures can be denoised by several.
    """
    sizes = {work: _size(work) for work in works}
    whole = sum(sizes.values())
    together = [work for work in works if tiled and sizes[work] * processes > whole]
    return together, sorted((work for work in works if work not in together), key=lambda work: -sizes[work])


def _size(work: Work) -> int:
    try:
        return work.file.stat().st_size
    except OSError:  # what is wrong is said when it is read
        return 0


def _restore(
    denoiser: AnyDenoiser, pixels: Tensor, scale: Scale, noise: NoiseModel | None, heed: Callable[[], None]
) -> None:
    """Work on those tiles of a picture that this process has."""

    def progress(done: int, tiles: int) -> None:
        heed()

    if isinstance(denoiser, BlindDenoiser):
        denoiser.restore(pixels, noise, progress, scale)
    elif isinstance(denoiser, Denoiser):
        denoiser.restore(pixels, scale, progress)
