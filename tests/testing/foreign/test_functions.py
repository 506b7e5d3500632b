"""What can be checked, what can be said about it, what is found out, and how mistakes of the user are told."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from exhibits import normal
from gallery_calls import Clipped, Halves, Product, Scale, product
from gallery_memory import Doubled, InputOnContext, Square, ViewsGradient, cube, matrix
from gallery_numbers import Dropout, MeanOfTheBatch, Relu, gradients_of_scaled, scaled
from torch.autograd import Function

from layerkit.errors import UserError
from layerkit.testing import (
    WrongGradients,
    check_function,
    check_loss,
    check_pair,
    check_pullback,
    drawn,
)


def failed(report: Any) -> list[str]:
    return [result.check for result in report.failures]


# What can be checked


def test_a_failure_is_raised_with_the_whole_report() -> None:
    with pytest.raises(
        WrongGradients, match=r"(?s)MeanOfTheBatch: .*weight: .*analytic.*numeric.*guess.*import torch"
    ) as got:
        check_function(MeanOfTheBatch, product())
    assert isinstance(got.value, AssertionError)
    assert "gradients" in failed(got.value.report)


@pytest.mark.parametrize("what", [Product, Product.apply, lambda x, w: Product.apply(x, w)])
def test_functions_are_taken_in_any_form(what: Any) -> None:
    assert not check_function(what, product()).failures


def test_a_module_is_checked_with_its_parameters_by_name() -> None:
    assert not check_function(Scale(), matrix()).failures
    report = check_function(Clipped(), matrix(), raises=False)
    assert "the gradient of weight" in report.explain() or "the gradient of x" in report.explain()
    frozen = Scale()
    frozen.weight.requires_grad_(False)
    partial = next(r for r in check_function(frozen, matrix()).results if r.check == "partial_gradients")
    assert partial.outcome == "not applicable"


def test_an_operator_is_checked() -> None:
    report = check_function(cube, matrix(), opchecks=False)
    assert report.kind == "operator" and not report.failures
    assert not check_function(torch.ops.layerkit_gallery.cube, matrix(), opchecks=False).failures


def test_opcheck_is_reported_beside(thorough: bool) -> None:
    if not thorough:
        pytest.skip("opcheck takes seconds; LAYERKIT_THOROUGH=1 asks it")
    report = check_function(cube, matrix())
    assert dict(report.opcheck)["test_schema"] == "SUCCESS"
    assert "opcheck: test_schema: SUCCESS" in report.explain()


def test_torch_compile_is_tried_where_it_is_asked_for(thorough: bool) -> None:
    if not thorough:
        pytest.skip("torch.compile takes seconds; LAYERKIT_THOROUGH=1 asks it")
    report = check_function(Square, matrix(), compiles=True)
    assert next(result for result in report.results if result.check == "compiled").outcome == "passed"


def test_arguments_of_any_kind_are_handed_on() -> None:
    def function(x: torch.Tensor, index: torch.Tensor, factor: float, *, mode: str) -> dict[str, Any]:
        assert mode == "plain"
        return {"y": factor * x[index], "index": index, "pair": (x.sum(), "text")}

    report = check_function(function, (normal(4, 3), torch.tensor([0, 2]), 2.5), {"mode": "plain"})
    assert next(r for r in report.results if r.check == "unused_outputs").examples == 2


def test_outputs_without_gradient_are_left_alone() -> None:
    class WithPlaces(Function):
        @staticmethod
        def forward(ctx, x):
            y, places = x.sort(-1)
            rounded = y.round()
            ctx.save_for_backward(places)
            ctx.mark_non_differentiable(places, rounded)
            return y, places, rounded

        @staticmethod
        def backward(ctx, grad_output, *_):
            (places,) = ctx.saved_tensors
            return torch.zeros_like(grad_output).scatter(-1, places, grad_output)

    report = check_function(WithPlaces, matrix(), kinked=True)
    assert "outputs without a gradient: 1" in report.found_out


def test_a_function_that_says_that_it_works_in_place_may() -> None:
    assert "changes x in place, and says so" in check_function(Doubled, matrix()).found_out


def test_pairs_of_both_kinds_are_checked() -> None:
    assert not check_pair(scaled, gradients_of_scaled, product()).failures

    class Remembers:
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.x = x
            return x * x

        def backward(self, grad_output: torch.Tensor) -> torch.Tensor:
            return 2 * self.x * grad_output

    layer = Remembers()
    report = check_pair(layer.forward, layer.backward, matrix())
    assert next(r for r in report.results if r.check == "calls_between").outcome == "not applicable"


def test_pullbacks_and_arrays_of_numpy_are_checked() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, Any]:
        return np.sin(x), lambda gradient: np.cos(x) * gradient

    assert not check_pullback(forward, matrix(), arrays="numpy").failures
    wrong = check_pair(np.sin, lambda gradient, x: -np.cos(x) * gradient, matrix(), arrays="numpy", raises=False)
    assert "the sign is turned around" in wrong.explain()


def test_of_a_loss_the_gradient_of_the_prediction_is_checked() -> None:
    def loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return ((prediction - target) ** 2).mean()

    assert not check_loss(loss, normal(4, 3), normal(4, 3)).failures
    assert not check_loss(torch.nn.CrossEntropyLoss(), drawn("n", 3), drawn("n", low=0, high=3, dtype="long")).failures


# What is found out


def test_what_is_found_out_is_told() -> None:
    told = "; ".join(check_function(Product, (drawn("rows", 3), drawn(3))).found_out)
    assert "computes in float64" in told and "rows may be 1, 0, 2, 37, 131" in told
    assert "takes float32, float16, bfloat16, autocast" in told and "second derivatives: right" in told


def test_random_numbers_are_noticed_and_repeated() -> None:
    before = torch.get_rng_state()
    assert "draws random numbers" in check_function(Dropout, matrix()).found_out
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_cannot_be_put_back_is_told() -> None:
    generator = torch.Generator().manual_seed(0)
    report = check_function(lambda x: x * torch.rand(3, generator=generator).double(), matrix(), raises=False)
    assert "make a generator of its own inside of the function" in report.explain()


def test_a_function_of_float32_alone_is_checked_as_closely_as_that_goes() -> None:
    class Single(Function):
        factor = 2.0

        @staticmethod
        def forward(ctx, x):
            if x.dtype != torch.float32:
                raise TypeError("float32 only")
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad_output):
            return Single.factor * ctx.saved_tensors[0] * grad_output

    assert "computes in float32" in check_function(Single, matrix()).found_out
    Single.factor = 2.2
    assert "gradients" in failed(check_function(Single, matrix(), raises=False))


def test_a_function_that_computes_in_float32_inside_is_not_accused() -> None:
    report = check_function(lambda x: (x.float() ** 2).double(), matrix())
    assert any("digits of float32" in note for note in report.found_out)


def test_forward_may_refuse_a_layout_and_backward_may_not() -> None:
    class Refuses(Square):
        @staticmethod
        def forward(ctx, x):
            if not x.is_contiguous():
                raise ValueError("give a contiguous tensor")
            return Square.forward(ctx, x)

    report = check_function(Refuses, matrix())
    layouts = next(result for result in report.results if result.check == "input_layouts")
    assert layouts.outcome == "not applicable" and "give a contiguous tensor" in layouts.reason
    assert failed(check_function(ViewsGradient, matrix(), raises=False)) == ["gradient_layouts"]


def test_kinks_are_left_out_and_counted() -> None:
    relu = check_function(Relu, matrix())
    assert not relu.failures
    steps = check_function(lambda x: (1000 * x).abs().frac().sum() + x.abs().sum(), matrix(), raises=False)
    assert not steps.failures or "without a derivative" in steps.explain()


def test_another_thread_that_waits_for_a_lock_is_not_a_fault() -> None:
    lock, scratch = threading.Lock(), torch.zeros(10_000, dtype=torch.float64)

    class Locked(Square):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            with lock:
                part = scratch[: x.numel()].view(x.shape)
                part.copy_(x)
                return (part * part).to(x.dtype)

    assert not check_function(Locked, matrix()).failures


# What is declared


def test_an_oracle_is_compared() -> None:
    assert not check_function(Product, product(), oracle=lambda x, w: x * w).failures
    wrong = check_function(Product, product(), oracle=lambda x, w: x * w + 1, raises=False)
    assert failed(wrong) == ["oracle"] and "output 0 is not the oracle's" in wrong.explain()
    other = check_function(MeanOfTheBatch, product(), oracle=lambda x, w: x * w, raises=False)
    assert "oracle" in failed(other)


def test_a_surrogate_is_what_backward_belongs_to() -> None:
    class Rounded(Function):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    without = check_function(Rounded, matrix(), raises=False)
    assert "declare surrogate=" in without.explain()
    assert not check_function(Rounded, matrix(), surrogate=lambda x: x).failures


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"stochastic": True}, "stochastic=True is declared, and stochastic=False is what it does"),
        ({"mixes_batch": True}, "mixes_batch=True is declared, and mixes_batch=False"),
        ({"dtypes": ("complex64",)}, "it is declared to take complex64, and refuses it"),
    ],
)
def test_what_is_declared_is_tested(declared: dict[str, Any], sentence: str) -> None:
    report = check_function(Square, matrix(), raises=False, **declared)
    assert failed(report) == ["declarations"] and sentence in report.explain()


def test_known_failures_are_strict() -> None:
    known = {"inputs_changed_later": "it is saved on ctx"}
    report = check_function(InputOnContext, matrix(), known_failures=known)
    assert report.counts()["known failure"] == 1
    report = check_function(Square, matrix(), known_failures=known, raises=False)
    assert "take it off the list" in report.explain()


def test_a_gradient_that_is_not_asked_for_may_be_none() -> None:
    class OfTheFirst(Function):
        @staticmethod
        def forward(ctx, x, target):
            ctx.save_for_backward(x, target)
            return ((x - target) ** 2).sum()

        @staticmethod
        def backward(ctx, grad_output):
            x, target = ctx.saved_tensors
            return 2 * (x - target) * grad_output, None

    x, target = normal(4, 3), normal(4, 3) + 1
    assert not check_function(OfTheFirst, (x.requires_grad_(), target)).failures
    report = check_function(OfTheFirst, (x.detach(), target), raises=False)
    assert "backward returns None for it; if that is on purpose" in report.explain()


def test_several_outputs_are_checked_one_by_one() -> None:
    report = check_function(Halves, (normal(3, 4),))
    assert next(r for r in report.results if r.check == "gradient_layouts").examples == 10


# Mistakes of the user


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: check_function("sin", matrix()), "not a str"),
        (lambda: check_function(Square, (1.0,)), "no input is a tensor"),
        (lambda: check_function(Square, (torch.zeros(2, dtype=torch.complex64),)), "complex"),
        (lambda: check_function(Square, matrix(), kinkd=True), 'did you mean "kinked"'),
        (lambda: check_function(Square, matrix(), known_failures={"gradient": "x"}), "there is none of that name"),
        (lambda: check_function(Scale(), matrix(), {"y": 1}), "in order"),
    ],
)
def test_mistakes_of_the_user_get_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": "half"}, '"float", "long" or "bool"'),
        ({"low": 1.0}, "needs low and high"),
        ({"low": 1.0, "high": 0.0}, "low < high"),
        ({"dtype": "long"}, "needs a range"),
    ],
)
def test_what_cannot_be_drawn_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        drawn(3, **options)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: x.missing(), "forward raises for the example: AttributeError"),
        (lambda x: 3, "it returns no tensor of floats"),
        (lambda x: x.detach(), "the graph is cut in forward"),
        (lambda x: x if x.dtype == torch.int64 else torch.ones(2), "the graph is cut"),
    ],
)
def test_an_example_that_does_not_work_is_told(function: Any, sentence: str) -> None:
    assert sentence in check_function(function, matrix(), raises=False).explain()


@pytest.mark.parametrize(
    "function",
    [torch.sqrt, lambda x: x.median(-1)[0].clone(), torch.nn.functional.normalize, lambda x: x.abs() ** x],
)
def test_points_without_a_derivative_are_left_alone(function: Any) -> None:
    x = normal(4, 3).abs() + 0.1
    report = check_function(function, (x,), raises=False)
    assert "gradients" not in failed(report), report.explain()


# The program


def test_the_program_of_a_failure_needs_no_layerkit(python: Any) -> None:
    report = check_function(MeanOfTheBatch, product(), raises=False)
    done = python("-c", report.failures[0].script)
    assert done.returncode == 1
    assert "AssertionError: the gradient of weight is wrong by" in done.stderr
    assert "should be:" in done.stdout


def test_no_extra_is_needed(python: Any) -> None:
    program = (
        "import sys, layerkit.testing as t; t.check_function, t.check_optimizer; print('hypothesis' in sys.modules)"
    )
    assert python("-c", program).stdout.strip() == "False"


def test_what_stands_inside_of_a_test_is_in_the_program_too() -> None:
    factor = 3.0

    def tripled(x: torch.Tensor) -> torch.Tensor:
        return Wrong.apply(x)

    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return factor * x

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output

    script = check_function(tripled, matrix(), raises=False).failures[0].script
    assert "factor = 3.0" in script
    with pytest.raises(AssertionError, match="the gradient of x is wrong"):
        exec(compile(script, "<script>", "exec"), {})
