"""Products shared out among threads against the plain ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from layerkit.arithmetic.products import multiply, multiply_and_add


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def scratch(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    return like.new_full(shape, float("nan"))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 6, 7])
class TestForAnyBatch:
    @pytest.mark.parametrize("transposed", [False, True])
    @pytest.mark.parametrize("bias", [None, numbers(7)])
    def test_multiplying(self, threads: int, n: int, transposed: bool, bias: Tensor | None) -> None:
        rows, matrix = numbers(5, n * 20).t() if transposed else numbers(n * 20, 5), numbers(7, 5).t()
        out = torch.full((n * 20, 7), float("nan"), dtype=torch.float64)
        multiply(n, rows, matrix, out, bias)()
        torch.testing.assert_close(out, rows @ matrix + (0 if bias is None else bias))

    def test_a_result_that_lies_by_columns(self, threads: int, n: int) -> None:
        rows, matrix = numbers(n * 20, 5), numbers(5, 7)
        out = torch.full((7, n * 20), float("nan"), dtype=torch.float64).t()
        multiply(n, rows, matrix, out)()
        torch.testing.assert_close(out, rows @ matrix)

    @pytest.mark.parametrize("by_columns", [False, True])
    def test_a_sum_over_all_pixels_is_added(self, threads: int, n: int, by_columns: bool) -> None:
        columns, rows = numbers(n * 20, 5).t() if by_columns else numbers(5, n * 20), numbers(n * 20, 7)
        target = torch.ones(5, 7, dtype=torch.float64)
        for move in multiply_and_add(n, columns, rows, target, scratch):
            move()
        torch.testing.assert_close(target, columns @ rows + 1)


def test_each_thread_has_its_own_pictures(threads: int) -> None:
    rows, matrix, out = numbers(6 * 20, 5), numbers(5, 7), torch.empty(6 * 20, 7, dtype=torch.float64)
    assert multiply(6, rows, matrix, out).func is (torch.mm if threads == 1 else torch.bmm)
