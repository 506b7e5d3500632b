"""Shapes that are as declared, for every batch size, and refused where nothing fits."""

from __future__ import annotations

import torch

from layerkit.errors import ShapeError
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.cases.strategies import accepts
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.checks.gradients import check_gradients
from layerkit.testing.instruments.passes import Frozen, forward, gradients_of, run_pass


@check("layer", large=1)
def output_shape_is_true(case: LayerCase) -> None:
    """``output_shape`` is the shape that forward returns, in plain integers, in training and in evaluation."""
    expected = case.spec.output_shape(case.input_shape)
    require(_is_shape(expected), f"output_shape returns {expected!r}, not a tuple of integers")
    for training in (True, False):
        output = forward(case.layer().train(training), case.input())
        real = tuple(output.shape)
        require(real == (case.batch, *expected), f"output_shape is {expected}, and forward returns {real[1:]} a sample")
        require(bool(output.isfinite().all()), "forward returns numbers that are infinite or not a number")


def _is_shape(value: object) -> bool:
    return isinstance(value, tuple) and all(type(size) is int for size in value)


@check("layer", share=0.5)
def gradient_is_like_the_input(case: LayerCase) -> None:
    """The gradient of the input has the input's shape, dtype and device, in float32 and in float64."""
    for dtype in (torch.float32, torch.float64):
        x = case.input(dtype=dtype)
        done = run_pass(case.layer(dtype), x, case.cotangent)
        require(done.output.dtype == dtype, f"for an input of {dtype} the output is {done.output.dtype}")
        for given, expected, what in (
            (done.grad_input.shape, x.shape, "shape"),
            (done.grad_input.dtype, x.dtype, "dtype"),
            (done.grad_input.device, x.device, "device"),
        ):
            require(given == expected, f"the {what} of the input's gradient is {given}, and the input's is {expected}")


@check("layer", share=0.5)
def every_batch_size(case: LayerCase) -> None:
    """An empty batch gives empty tensors and gradients of exactly zero, a batch of one and larger ones work as well."""
    output_shape = case.spec.output_shape(case.input_shape)
    layer = case.layer()
    frozen = Frozen(layer)
    for batch in (0, 1, case.batch, case.batch + 4, 0):
        x = case.input(batch)
        try:
            done = frozen.run_pass(x, case.cotangent)
        except ShapeError:
            if batch == 1 and case.declares("mixes_batch"):
                continue  # one value has no spread
            raise
        real = tuple(done.output.shape)
        require(real == (batch, *output_shape), f"for a batch of {batch} forward returns {real}")
        given = tuple(done.grad_input.shape)
        require(given == tuple(x.shape), f"for a batch of {batch} the gradient of the input is {given}")
        for name, gradient in done.gradients.items():
            require(bool(gradient.isfinite().all()), f"for a batch of {batch} the gradient of {name} is not finite")
            require(
                bool(batch) or not bool(gradient.any()), f"an empty batch gives a gradient of {name} that is not zero"
            )
    state = {name: bool(value.double().isfinite().all()) for name, value in layer.state_dict().items()}
    broken = [name for name, finite in state.items() if not finite]
    require(not broken, f"after an empty batch {broken} is not finite")
    require(
        tuple(forward(layer.eval(), case.input(0)).shape) == (0, *output_shape), "in evaluation an empty batch fails"
    )


@check("layer", share=0.4)
def sizes_of_one(case: LayerCase) -> None:
    """Wherever a size of the input may be 1, the shape and all gradients are still right."""
    tried = False
    for dim in range(len(case.input_shape)):
        for shape in (
            tuple(1 if index == dim else size for index, size in enumerate(case.input_shape)),
            tuple(size if index == dim else 1 for index, size in enumerate(case.input_shape)),
        ):
            if accepts(case.spec, shape):
                tried = True
                # Of a single value no layer that mixes the batch can take a mean and a spread.
                small = LayerCase(case.subject, case.configuration, case.seed, shape, max(2, case.batch))
                x, frozen = small.input(), Frozen(small.layer())
                cotangent = small.cotangent(frozen.forward(x))
                done = frozen.run_pass(x, cotangent)
                expected = (small.batch, *small.spec.output_shape(shape))
                require(tuple(done.output.shape) == expected, f"for {shape} forward returns {tuple(done.output.shape)}")
                check_gradients(small, frozen, x, cotangent, done, "input")
                check_gradients(small, frozen, x, cotangent, done, "parameters")
    if not tried:
        not_applicable("no size of the input may be 1")


@check("layer", share=0.6)
def impossible_shapes_are_refused(case: LayerCase) -> None:
    """A shape that does not fit is a ShapeError of the spec, and a layer does not take what its spec refuses."""
    sizes = case.input_shape
    tries = [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), sizes[:-1], (*sizes, 2)]
    tries += [(*sizes[:dim], small, *sizes[dim + 1 :]) for dim in range(len(sizes)) for small in (1, sizes[dim] + 1)]
    refused = []
    for shape in filter(None, tries):
        try:
            case.spec.output_shape(shape)
        except ShapeError:
            refused.append(shape)
        except Exception as error:
            name = type(error).__name__
            raise CheckFailed(
                f"output_shape({shape}) raises {name}: {error}; it should be a layerkit.ShapeError"
            ) from None
    for shape in refused:
        if len(shape) != len(sizes):
            continue  # the number of dimensions is the spec's affair
        layer = case.layer()
        try:
            output = layer.forward(case.normal("impossible", case.batch, *shape))
        except Exception:
            continue
        taken = tuple(output.shape)
        raise CheckFailed(f"the spec refuses an input of {shape}, and forward takes it and returns {taken}")


@check("layer", share=0.4)
def empty_batch_adds_nothing(case: LayerCase) -> None:
    """A backward of an empty batch does not change the parameters' gradients."""
    layer = case.layer()
    if not layer.param():
        not_applicable("the layer has no parameters")
    run_pass(layer, case.input(), case.cotangent)
    before = gradients_of(layer)
    output = forward(layer, case.input(0))
    layer.backward(case.cotangent(output))
    for name, gradient in gradients_of(layer).items():
        require(torch.equal(gradient, before[name]), f"an empty batch changes the gradient of {name}")
