"""Makes the mini-batches of training from the pairs of a data set.

Nothing here has a state. Samples are made in *chunks* of a fixed size, each a function of (seed, epoch, number of the
chunk) only, and mini-batches of any size are cut from the chunks in order. So a run that resumes in the middle of an
epoch gets exactly the mini-batches that it would have got without the interruption.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from layerkit.data.dataset import TrainingPairs

MAX_CHUNK = 1024
"""The most samples in a chunk; with more, the fixed cost of making a chunk would hardly become smaller per sample."""
MAX_CHUNK_VALUES = 2**22
"""The most values in the inputs of a chunk, unless a single sample has more."""

Pair = tuple[Tensor, Tensor]
"""Inputs and targets."""


def batches(
    pairs: TrainingPairs,
    epoch: int,
    batch_size: int,
    start: int = 0,
    like: Tensor | None = None,
    makers: int = 1,
) -> Generator[Pair, None, None]:
    """Yield an epoch's mini-batches (inputs, targets) in order, (n, C, H, W) each.

    All have ``batch_size`` samples, except that the last may have fewer. While the caller is busy with a mini-batch,
    the next chunks are made in other threads, which end with the epoch or when the generator is closed.

    Args:
        pairs: the source of the samples.
        epoch: the number of the epoch; every epoch has its own samples or order.
        batch_size: samples in a mini-batch.
        start: the number of the first mini-batch to yield; chunks that only hold earlier ones are not made.
        like: a tensor whose dtype and device they get, a chunk at a time; None to leave them as they are.
        makers: how many threads make chunks.
    """
    size = len(pairs)
    numbers = range(start * batch_size // pairs.chunk_size, -(-size // pairs.chunk_size))
    held, chunk = -1, (torch.empty(0), torch.empty(0))
    with closing(_chunks(pairs, epoch, numbers, like, makers)) as chunks:
        for first in range(start * batch_size, size, batch_size):
            stop = min(first + batch_size, size)
            pieces: list[Pair] = []
            while first < stop:
                number, offset = divmod(first, pairs.chunk_size)
                if number != held:
                    held, chunk = number, next(chunks)
                taken = min(pairs.chunk_size - offset, stop - first)
                piece = slice(offset, offset + taken)
                pieces.append((chunk[0][piece], chunk[1][piece]))
                first += taken
            inputs, targets = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*pieces, strict=True))
            yield inputs, targets


def _chunks(
    pairs: TrainingPairs, epoch: int, numbers: range, like: Tensor | None, makers: int
) -> Generator[Pair, None, None]:
    """Yield the chunks of these numbers; while one is in use, the next ones are made."""

    def made(number: int) -> Pair:
        inputs, targets = pairs.chunk(epoch, number)
        return (inputs, targets) if like is None else (inputs.to(like), targets.to(like))

    # Each uses a single thread of torch, because the network needs the others.
    with ThreadPoolExecutor(makers, "layerkit pairs", partial(torch.set_num_threads, 1)) as pool:
        waiting = iter(numbers)
        coming = deque(pool.submit(made, number) for number in islice(waiting, makers))
        while coming:
            chunk = coming.popleft().result()
            coming.extend(pool.submit(made, number) for number in islice(waiting, 1))
            yield chunk


def chunk_size(shape: tuple[int, ...]) -> int:
    """Return how many samples (C, H, W) make a chunk: as many as the limits allow, and at least one."""
    return max(1, min(MAX_CHUNK, MAX_CHUNK_VALUES // math.prod(shape)))


def seeded_generator(*numbers: int) -> torch.Generator:
    """Return a generator whose stream depends on all ``numbers`` (from 0 to 2^64 - 1), their order and their count."""
    # SeedSequence mixes the numbers, so that neighbouring seeds and epochs have unrelated streams. It takes 32-bit
    # words and ignores zeros at the end; with two words for each number, and the count, all lists stay different.
    words = [len(numbers)]
    for number in numbers:
        words += [number & 0xFFFF_FFFF, number >> 32]
    (seed,) = np.random.SeedSequence(words).generate_state(1)
    return torch.Generator().manual_seed(int(seed))
