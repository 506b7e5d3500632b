from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from layerkit.contracts.arena import Arena

LIKE = torch.zeros(1)


def test_what_was_released_is_taken_again_the_smallest_that_fits_first() -> None:
    arena = Arena()
    large, small, third = (arena.take(shape, LIKE) for shape in ((40,), (3, 4), (5,)))
    assert len({tensor.data_ptr() for tensor in (large, small, third)}) == 3
    arena.release(large[20:].view(4, 5))
    arena.release(small)
    arena.release(torch.zeros(3))
    again = arena.take((2, 5), LIKE)
    assert again.data_ptr() == small.data_ptr() and again.shape == (2, 5)
    assert arena.take((13,), LIKE).data_ptr() == large.data_ptr()


def test_numbers_of_another_kind_get_memory_of_their_own() -> None:
    arena = Arena()
    first = arena.take((4,), LIKE)
    arena.release(first)
    second = arena.take((2,), LIKE.double())
    assert second.dtype is torch.float64
    assert arena.take((4,), LIKE).data_ptr() == first.data_ptr() != second.data_ptr()


def test_an_empty_tensor_is_taken_and_released_like_any_other() -> None:
    arena = Arena()
    for _ in range(2):
        first, second = arena.take((0, 3), LIKE), arena.take((0, 3), LIKE)
        assert first.shape == second.shape == (0, 3)
        arena.release(first)
        arena.clear()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(1, 4))
def test_rounds_of_the_same_calls_come_to_the_same_memory_and_nothing_in_use_is_shared(
    sizes: list[int], held: int
) -> None:
    arena, rounds = Arena(), []
    for _ in range(2 * len(sizes) + 2):
        places, used = [], []
        for size in sizes:
            used.append(arena.take((size,), LIKE))
            places.append(used[-1].data_ptr())
            assert len({tensor.data_ptr() for tensor in used}) == len(used)
            if len(used) == held:
                arena.release(used.pop(0))
        arena.clear()
        rounds.append(places)
    assert rounds[-1] == rounds[-2]
    assert len(set(rounds[-1])) <= held
