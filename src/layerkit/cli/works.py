"""What there is to denoise: files, and the names of their denoised versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click

from layerkit.cli.targets import renamed, suffix_of, targets_of
from layerkit.errors import UserError


@dataclass(frozen=True)
class Order:
    """How files are to be denoised.

    Attributes:
        overwrite: whether files that are there already are replaced.
        skip_existing: whether their pictures are left out.
        compared: whether NAME-compare.png is written as well, beside classical methods.
        same_format: whether each picture keeps its format, where that can be written.
        shard: a number from 1 and how many shares there are; of all pictures, that share alone is denoised.
    """

    overwrite: bool = False
    skip_existing: bool = False
    compared: bool = False
    same_format: bool = False
    shard: tuple[int, int] = (1, 1)


class Work(NamedTuple):
    """A file, where its denoised version goes, and the comparison, if there is to be one."""

    file: Path
    target: Path
    comparison: Path | None

    def to_data(self) -> list[str | None]:
        """Return it as data that JSON can hold."""
        return [None if path is None else str(path) for path in self]

    @classmethod
    def from_data(cls, data: Sequence[str | None]) -> Work:
        """Return the work that such data describe."""
        file, target, comparison = data
        return cls(Path(file or ""), Path(target or ""), None if comparison is None else Path(comparison))


def works_of(files: Sequence[Path], output: Path, order: Order) -> list[Work]:
    """Return what there is to do, and say what is remarkable about it.

    Args:
        files: the pictures.
        output: the folder below which their denoised versions go; see :mod:`layerkit.cli.targets`.
        order: how they are to be denoised.

    Raises:
        UserError: when a comparison would get the name of a picture, or a picture is there already.
    """
    # The names depend on all files, whatever the share of them is: shares of one folder go into one folder.
    targets = targets_of(files, output, {file: suffix_of(file, order.same_format) for file in files})
    works = [
        Work(file, target, target.with_name(f"{target.stem}-compare.png") if order.compared else None)
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


def _written(work: Work) -> list[Path]:
    return [work.target] if work.comparison is None else [work.target, work.comparison]
