"""The sums of shifted pictures, by every backend, against their definition as matrices."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from layerkit.arithmetic.axes import Axis, Term
from layerkit.arithmetic.backends import Backend, fused, gpu, plain
from layerkit.arithmetic.passes import Move
from layerkit.arithmetic.sums import Sums
from layerkit.testing import run

Python = Callable[..., subprocess.CompletedProcess[str]]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
BUILT = importlib.util.find_spec("layerkit.arithmetic.backends._sums") is not None


def _why_not() -> str:
    """Return why there is rightly no compiled code; where it should have been built, its tests are to fail."""
    if not fused.unavailable():
        return ""
    if BUILT:
        return "the compiled sums are switched off, or this processor lacks AVX2"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return "" if shutil.which(compiler) else "there was no C compiler when layerkit was installed"


needs_fused = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


class Case(NamedTuple):
    """Sums, and what they are of: ``z`` (N, H, W, products down, products across, C) and memory for ``y``."""

    sums: Sums
    z: Tensor
    y: Tensor
    bias: Tensor | None
    first: int

    def on(self, device: str) -> Case:
        bias = None if self.bias is None else self.bias.to(device)
        return self._replace(z=self.z.to(device), y=self.y.to(device), bias=bias)


@st.composite
def axes(draw: st.DrawFn, slots: int, terms: int) -> Axis:
    phases, products = draw(st.integers(1, min(slots, 4))), draw(st.integers(1, slots))
    factors = st.sampled_from([1, -1, 0.5, 2.25])
    term = st.tuples(st.integers(0, phases - 1), st.integers(0, products - 1), st.integers(-3, 3), factors)
    return Axis(phases, products, tuple(Term(*each) for each in draw(st.lists(term, max_size=terms))))


@st.composite
def cases(draw: st.DrawFn, slots: int = 6, terms: int = 14) -> Case:
    down, across = draw(axes(slots, terms)), draw(axes(slots, terms))
    n, channels = draw(st.integers(0, 3)), draw(st.sampled_from([1, 2, 3, 7, 8, 16, 20, 44]))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    rows, columns = draw(st.integers(1, down.phases * 8)), draw(st.integers(1, across.phases * 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    # As planes, pixel by pixel, or a picture for each product, with something between them.
    products = down.products, across.products
    z = {
        "planes": lambda: _numbers(generator, dtype, *products, channels, n, height, width).permute(3, 4, 5, 0, 1, 2),
        "pixels": lambda: _numbers(generator, dtype, n, height, width, *products, channels),
        "pictures": lambda: _numbers(generator, dtype, *products, n + 1, height, width, channels)[:, :, :n].permute(
            2, 3, 4, 0, 1, 5
        ),
    }[draw(st.sampled_from(["planes", "pixels", "pictures"]))]()
    if draw(st.booleans()):
        y = _numbers(generator, dtype, n, channels, rows, columns).permute(0, 2, 3, 1)
    else:
        y = _numbers(generator, dtype, n, rows, columns, channels)
    bias = _numbers(generator, dtype, channels) if draw(st.booleans()) else None
    return Case(Sums(down, across), z, y, bias, draw(st.integers(-2, 2)))


def _numbers(generator: torch.Generator, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=dtype)


def _matrix(axis: Axis, out: int, size: int, first: int, like: Tensor) -> Tensor:
    """Return the sums along one direction as (outputs, rows of z, products)."""
    matrix = torch.zeros(out, size, axis.products, dtype=like.dtype, device=like.device)
    for phase, product, offset, factor in axis.terms:
        for row in range(phase, out, axis.phases):
            place = row // axis.phases + offset + first
            if 0 <= place < size:
                matrix[row, place, product] += factor
    return matrix


def _matrices(case: Case, first: int) -> tuple[Tensor, Tensor]:
    sums, z, y, *_ = case
    down = _matrix(sums.down, y.shape[1], z.shape[1], first, z)
    return down, _matrix(sums.across, y.shape[2], z.shape[2], 0, z)


def _combine(case: Case) -> list[Move]:
    """Hold the sums of a case against their definition, and return the moves that made them."""
    sums, z, y, bias, first = case
    expected = torch.einsum("phk,qwl,nhwklc->npqc", *_matrices(case, first), z) + (0 if bias is None else bias)
    y.fill_(float("nan"))
    moves = sums.combine(z, y, lambda shape: _memory(shape, z), bias, first)
    for move in moves:
        move()
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE[z.dtype])
    return moves


def _combine_transposed(case: Case) -> list[Move]:
    """Hold the transpose of the sums of a case against its definition, and return the moves that made it."""
    sums, z, y, _, first = case
    expected = torch.einsum("phk,qwl,npqc->nhwklc", *_matrices(case, -first), y)
    z.fill_(float("nan"))
    moves = sums.combine_transposed(y, z, lambda shape: _memory(shape, y), first)
    for move in moves:
        move()
    torch.testing.assert_close(z, expected, rtol=0, atol=TOLERANCE[y.dtype])
    return moves


def _memory(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return like.new_full(shape, float("nan"))


@pytest.fixture(scope="class", params=(fused, plain), ids=lambda backend: backend.__name__.rpartition(".")[2])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend of the processor in its turn, as the first that suits."""
    if request.param.unavailable():
        pytest.skip(f"without {request.param.unavailable()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layerkit.arithmetic.sums.BACKENDS", (request.param, plain))
        yield request.param


class TestEveryBackend:
    @settings(deadline=None, max_examples=150)
    @given(case=cases())
    def test_combining_follows_the_definition(self, backend: Backend, case: Case) -> None:
        assert len(_combine(case)) <= 1 or backend is not fused

    @settings(deadline=None, max_examples=150)
    @given(case=cases())
    def test_the_transpose_follows_the_definition(self, backend: Backend, case: Case) -> None:
        _combine_transposed(case)

    def test_more_terms_than_are_summed_at_once(self, backend: Backend) -> None:
        axis = Axis(1, 20, tuple(Term(0, product, 0, product + 1) for product in range(20)))
        z = torch.randn(1, 2, 3, 20, 20, 40, dtype=torch.float64)
        y = torch.empty(1, 2, 3, 40, dtype=torch.float64)
        for move in Sums(axis, axis).combine(z, y, lambda shape: _memory(shape, z), torch.ones(40, dtype=y.dtype)):
            move()
        factors = torch.arange(1.0, 21, dtype=y.dtype)
        torch.testing.assert_close(y, torch.einsum("k,l,nhwklc->nhwc", factors, factors, z) + 1)


@needs_fused
class TestFused:
    def test_it_is_compiled_where_there_is_a_compiler(self) -> None:
        assert BUILT, "install layerkit again; the build says why it was not compiled"

    def test_threads_change_no_bit(self) -> None:
        axis = Axis(2, 3, (Term(0, 0, 0, 0.3), Term(0, 1, -1, 0.7), Term(1, 2, 1, -0.1)))
        z, before = torch.randn(5, 16, 16, 3, 3, 44), torch.get_num_threads()
        results = []
        try:
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                results.append(torch.empty(5, 32, 32, 44))
                for move in Sums(axis, axis).combine(z, results[-1], lambda shape: _memory(shape, z)):
                    move()
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(results[0], other) for other in results[1:])

    @pytest.mark.parametrize(
        ("y", "z", "suitable"),
        [
            (torch.empty(1, 4, 4, 8), torch.empty(1, 4, 4, 2, 2, 8), True),
            (torch.empty(1, 4, 4, 8).double(), torch.empty(1, 4, 4, 2, 2, 8), False),
            (torch.empty(1, 4, 4, 8).half(), torch.empty(1, 4, 4, 2, 2, 8).half(), False),
            (torch.empty(1, 4, 4, 8).bfloat16(), torch.empty(1, 4, 4, 2, 2, 8).bfloat16(), False),
            (torch.empty(1, 4, 4, 8, device="meta"), torch.empty(1, 4, 4, 2, 2, 8, device="meta"), False),
            (torch.empty(0, 4, 4, 8), torch.empty(0, 4, 4, 2, 2, 8), True),
        ],
    )
    def test_it_says_what_it_is_made_for(self, y: Tensor, z: Tensor, suitable: bool) -> None:
        axis = Axis(1, 2, (Term(0, 0, 0, 1), Term(0, 1, 1, 1)))
        assert fused.suits(axis, axis, z, y) == suitable

    def test_of_nothing_there_is_nothing_to_do(self) -> None:
        axis = Axis(1, 2, (Term(0, 0, 0, 1), Term(0, 1, 1, 1)))
        z, y = torch.empty(0, 4, 4, 2, 2, 8), torch.empty(0, 4, 4, 8)
        assert fused.combine(axis, axis, z, y, lambda shape: _memory(shape, z), None, 0) == []
        assert fused.combine_transposed(axis, axis, y, z, lambda shape: _memory(shape, z), 0) == []

    def test_it_suits_nothing_where_it_is_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        axis = Axis(1, 1, (Term(0, 0, 0, 1),))
        z, y = torch.empty(1, 4, 4, 1, 1, 8), torch.empty(1, 4, 4, 8)
        assert fused.suits(axis, axis, z, y)
        monkeypatch.setattr(fused, "SWITCHED_OFF", True)
        assert not fused.suits(axis, axis, z, y)
        assert fused.unavailable() == "the compiled sums, which LAYERKIT_PLAIN_SUMS switches off"

    def test_no_spec_makes_it_hold_much_memory(self) -> None:
        # A transposed convolution with 1,024 taps that lie 1,024 pixels apart makes a million pixels of one.
        across = Axis(1, 1024, tuple(Term(0, tap, -1024 * tap, 1) for tap in range(1024)))
        down = Axis(1, 1, (Term(0, 0, 0, 1),))
        z, y = torch.ones(1, 1, 1, 1, 1024, 1), torch.empty(1, 1, 1023 * 1024 + 1, 1)
        assert not fused.suits(down, across, z, y)
        for move in Sums(down, across).combine(z, y, lambda shape: _memory(shape, z)):
            move()
        assert torch.equal(y.flatten().nonzero().flatten(), torch.arange(1024) * 1024)


@pytest.fixture(scope="class")
def triton() -> Iterator[str]:
    """The sums by Triton: the type of the device that they are on."""
    pytest.importorskip("triton")
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        patch.setattr("layerkit.arithmetic.sums.BACKENDS", (gpu,))
        yield gpu.device()


class TestGpu:
    """The kernels of a GPU, by Triton's interpreter where there is none; that is slow, so the cases are small."""

    @settings(deadline=None, max_examples=8)
    @given(case=cases(slots=2, terms=3))
    def test_both_directions_follow_the_definition(self, triton: str, case: Case) -> None:
        case = case.on(triton)
        assert len(_combine(case)) == min(1, case.y.numel())
        assert len(_combine_transposed(case)) == min(1, case.z.numel())

    def test_more_slots_than_one_program_sums_up(self, triton: str) -> None:
        across = Axis(9, 1, tuple(Term(phase, 0, 0, phase + 1) for phase in range(9)))
        down = Axis(1, 1, (Term(0, 0, 1, 0.5),))
        z, y = torch.randn(1, 3, 2, 1, 1, 70), torch.empty(1, 3, 17, 70)
        _combine(Case(Sums(down, across), z, y, torch.randn(70), 0).on(triton))

    def test_what_is_no_term_lets_not_even_nan_pass(self, triton: str) -> None:
        axis = Axis(2, 2, (Term(0, 0, 0, 1), Term(0, 1, -1, 2), Term(1, 1, 0, 1)))
        z, y = torch.ones(1, 4, 4, 2, 2, 3, device=triton), torch.empty(1, 8, 8, 3, device=triton)
        z[:, 1, 2, 1, 1] = float("nan")
        (move,) = Sums(axis, axis).combine(z, y, lambda shape: _memory(shape, z))
        move()
        found = {tuple(place) for place in y.isnan()[0, :, :, 0].nonzero().tolist()}
        assert found == {(row, column) for row in (3, 4) for column in (5, 6)}

    def test_nothing_is_written_beyond_the_picture(self, triton: str) -> None:
        axis = Axis(2, 1, (Term(0, 0, 0, 1), Term(1, 0, 0, 2)))
        z, around = torch.ones(1, 2, 2, 1, 1, 3, device=triton), torch.zeros(1, 4, 4, 3, device=triton)
        (move,) = Sums(axis, axis).combine(z, around[:, :3, :3], lambda shape: _memory(shape, z))
        move()
        assert around[0, :, :, 0].tolist() == [[1, 2, 1, 0], [2, 4, 2, 0], [1, 2, 1, 0], [0, 0, 0, 0]]

    def test_too_many_terms_are_left_to_the_plain_way(self, triton: str) -> None:
        few, many = (Axis(1, 1, tuple(Term(0, 0, shift, 1) for shift in range(count))) for count in (16, 17))
        z, y = torch.empty(1, 4, 4, 1, 1, 8, device=triton), torch.empty(1, 4, 4, 8, device=triton)
        assert gpu.suits(few, few, z, y)
        assert not gpu.suits(few, many, z, y)
        assert not gpu.suits(few, few, z.to("meta"), y.to("meta"))
        assert not gpu.suits(few, few, z.double(), y)


PROGRAM = """
import os, sys, torch

def start(missing=(), **environment):
    for name in [name for name in sys.modules if name.partition(".")[0] == "layerkit"]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(missing))
    os.environ.update(environment)
    from layerkit.arithmetic.backends import fused
    from layerkit.builtin.layers.conv2d import Conv2d
    generator = torch.Generator().manual_seed(0)
    conv = Conv2d(16, 16, 3, padding=1, generator=generator)
    x = torch.randn(1, 16, 8, 8, generator=generator)
    print(not fused.unavailable(), conv(x).sum().item())

start(LAYERKIT_PLAIN_SUMS="0")
start(LAYERKIT_PLAIN_SUMS="1")
start(["layerkit.arithmetic.backends._sums"], LAYERKIT_PLAIN_SUMS="0")
"""


@needs_fused
def test_without_compiled_code_the_plain_way_is_taken(python: Python) -> None:
    done = python("-c", PROGRAM, check=True)
    available, values = zip(*map(str.split, done.stdout.splitlines()), strict=True)
    assert available == ("True", "False", "False")
    with_it, switched_off, without_it = map(float, values)
    assert with_it == pytest.approx(switched_off, abs=1e-3) == pytest.approx(without_it, abs=1e-3)


LAYERS = ("conv2d", "upsampling", "transposed_conv2d", "avg_pool2d", "nearest_upsampling")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layers_hold_without_compiled_code(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerkit.arithmetic.sums.BACKENDS", (plain,))
    report = run(layer, profile="quick")
    assert not report.failures, report.explain()
