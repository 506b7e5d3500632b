"""Mini-batches are functions of seed, epoch and position."""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerkit.data.pairs import MAX_CHUNK, MAX_CHUNK_VALUES, batches, chunk_size, seeded_generator
from layerkit.errors import DataError


class Numbered:
    """Pairs whose values say which sample they are; remembers which chunks were made."""

    def __init__(self, total, size):
        self.total, self.chunk_size, self.made = total, size, []

    def __len__(self):
        return self.total

    def chunk(self, epoch, number):
        self.made.append(number)
        first = number * self.chunk_size
        values = torch.arange(first, min(first + self.chunk_size, self.total)) + 1000.0 * epoch
        return values, -values


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25), st.integers(0, 70))
def test_batches_are_consecutive_whatever_the_chunks(total, size, batch_size, start):
    pairs = Numbered(total, size)
    given = list(batches(pairs, 2, batch_size, start))
    expected = (torch.arange(total) + 2000.0).split(batch_size)[start:] if total else ()
    assert len(given) == len(expected)
    for (inputs, targets), values in zip(given, expected, strict=True):
        assert torch.equal(inputs, values)
        assert torch.equal(targets, -values)
    first = start * batch_size // size
    assert pairs.made == list(range(first, math.ceil(total / size)))[: len(pairs.made)]
    assert len(pairs.made) == (math.ceil(total / size) - first if given else 0)


def chunk_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("layerkit pairs")]


def test_the_next_chunk_is_made_while_one_is_in_use(monkeypatch):
    begun: list[Future] = []

    class Noted(ThreadPoolExecutor):
        def submit(self, *arguments):
            begun.append(super().submit(*arguments))
            return begun[-1]

    monkeypatch.setattr("layerkit.data.pairs.ThreadPoolExecutor", Noted)
    pairs = Numbered(9, 2)
    cut = batches(pairs, 0, 1)
    next(cut)
    wait(begun)
    assert pairs.made == [0, 1]
    assert [inputs.item() for inputs, _ in cut] == list(range(1, 9))
    assert not chunk_threads()


def test_a_chunk_that_fails_does_so_where_its_batch_is_asked_for():
    class Failing(Numbered):
        def chunk(self, epoch, number):
            if number == 1:
                raise DataError(f"chunk {number} of epoch {epoch}")
            return super().chunk(epoch, number)

    cut = batches(Failing(9, 2), 7, 1)
    assert [next(cut)[0].item() for _ in range(2)] == [7000, 7001]
    with pytest.raises(DataError, match="chunk 1 of epoch 7"):
        next(cut)
    assert not chunk_threads()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_no_thread_outlives_batches_that_nobody_wants_any_more(taken):
    pairs = Numbered(9, 2)
    cut = batches(pairs, 0, 2)
    for _ in range(taken):
        next(cut)
    cut.close()
    assert not chunk_threads()
    assert pairs.made == list(range(taken + 1 if taken else 0))


def test_chunks_are_bounded_by_memory():
    assert chunk_size((3, 32, 32)) == MAX_CHUNK
    assert chunk_size((3, 512, 512)) * 3 * 512 * 512 <= MAX_CHUNK_VALUES
    assert chunk_size((3, 4096, 4096)) == 1


def test_generators_depend_on_every_number_and_the_order():
    draws = [
        torch.rand(4, generator=seeded_generator(*numbers)).tolist()
        for numbers in [
            (0, 0, 0),
            (0, 0, 1),
            (0, 1, 0),
            (1, 0, 0),
            (2**63, 0),
            (2**63 + 1, 0),
            (0, 2**32),
            (0,),
            (0, 0),
        ]
    ]
    assert len({tuple(draw) for draw in draws}) == len(draws)
    assert draws[0] == torch.rand(4, generator=seeded_generator(0, 0, 0)).tolist()
