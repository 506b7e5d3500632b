"""The same again gives the same, and chance comes from the generator alone."""

from __future__ import annotations

import torch

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import Case, LayerCase
from layerkit.testing.check import CheckFailed, check, require
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.observation import (
    Operations,
    empty_memory_is_nan,
    nothing_global_touched,
    nothing_opened,
    without_autograd,
)
from layerkit.testing.instruments.passes import Frozen, forward, run_pass

FORBIDDEN = ("convolution", "conv1d", "conv2d", "conv3d", "conv_transpose", "cudnn", "mkldnn_conv")
"""Parts of the names of torch's ready-made convolutions; its backward kernels are known by ``_backward``."""


@check("layer", share=0.6)
def same_input_same_bits(case: LayerCase) -> None:
    """From the same state the same input and gradient give the same bits, in the same layer and in an equal one."""
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    first, again = frozen.run_pass(x, case.cotangent), frozen.run_pass(x.clone(), case.cotangent)
    for done, who in ((again, "a second pass"), (run_pass(case.layer(), x, case.cotangent), "an equal layer")):
        require_same_bits(done.output, first.output, f"{who} gives another output")
        require_same_bits(done.grad_input, first.grad_input, f"{who} gives another gradient of the input")
        for name, gradient in first.gradients.items():
            require_same_bits(done.gradients[name], gradient, f"{who} gives another gradient of {name}")


@check("layer", share=0.5)
def memory_is_written_before_it_is_read(case: LayerCase) -> None:
    """No result depends on the content of uninitialized memory: filled with NaN it gives the same numbers.

    A gradient that starts from ``empty``, or a border that is never written, works as long as the memory is fresh.
    """
    x = case.input()
    expected = run_pass(case.layer(), x, case.cotangent)
    with empty_memory_is_nan():
        for name, (_, gradient) in case.fresh().named_param().items():
            require(not bool(gradient.any()), f"the gradient of {name} starts from memory that was never written")
        done = run_pass(case.layer(), x, case.cotangent)
    require_close(done.output, expected.output, "the output depends on memory that was never written")
    require_close(done.grad_input, expected.grad_input, "the gradient depends on memory that was never written")
    for name, gradient in expected.gradients.items():
        require_close(done.gradients[name], gradient, f"the gradient of {name} depends on memory never written")


@check("layer", share=0.5)
def passes_touch_nothing_global(case: LayerCase) -> None:
    """Forward and backward draw from no global random generator, change no setting of torch and open nothing."""
    layer, x = case.layer(), case.input()
    cotangent = case.cotangent(Frozen(layer).forward(x))
    with nothing_global_touched("a pass"), nothing_opened("a pass"):
        forward(layer, x)
        layer.backward(cotangent)
    with nothing_global_touched("a forward in evaluation"), nothing_opened("a forward in evaluation"):
        forward(layer.eval(), x)


@check("layer", share=0.4)
def written_by_hand(case: LayerCase) -> None:
    """The gradients are the layer's own: no autograd, no ready-made convolution, none of torch's backward kernels."""
    layer, x = case.layer(), case.input()
    cotangent = case.cotangent(Frozen(layer).forward(x))

    def passes() -> None:
        with Operations() as operations:
            layer.forward(x)
            layer.backward(cotangent)
        for name in operations.names:
            short = name.removeprefix("aten::")
            if short.endswith("_backward") or any(part in short for part in FORBIDDEN):
                raise CheckFailed(f"the layer calls torch's {short}, which is to be written by hand")

    without_autograd(passes, "a pass")


@check("layer", "loss", "optimizer", "noise", "schedule", share=0.5)
def building_is_contained(case: Case[Spec]) -> None:
    """Building draws from no global random generator, changes no setting of torch, and opens no file or socket."""
    build = case.builder()
    with nothing_global_touched("building"), nothing_opened("building"):
        build()


@check("layer", share=0.5)
def same_seed_same_parameters(case: LayerCase) -> None:
    """Built twice from generators of one seed a layer is the same to the last bit; torch's own seed does not matter."""
    torch_state = torch.get_rng_state()
    try:
        first = case.fresh().state_dict()
        torch.manual_seed(12345)
        second = case.fresh().state_dict()
    finally:
        torch.set_rng_state(torch_state)
    require(list(first) == list(second), f"built twice it has {list(first)} and {list(second)}")
    for name, value in first.items():
        require_same_bits(second[name], value, f"built twice from one seed, {name} differs")
