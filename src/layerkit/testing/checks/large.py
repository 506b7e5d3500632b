"""What only size shows: many samples, many channels, large pictures, wide kernels, very large and small gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import check, not_applicable
from layerkit.testing.checks.gradients import counts_of, require_input_gradient_shape
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.numerics import check_jointly
from layerkit.testing.instruments.passes import Frozen, Pass, backward, forward, gradients_of


@check("layer", share=0, large=1)
def gradients_at_large_sizes(case: LayerCase) -> None:
    """In large cases too the gradients of everything are a central difference, along one direction of all at once.

    Large are batches of more than 32 samples, more than 64 channels, 500 features, kernels of 5 and more, pictures
    that are long, square, or as high as they have channels.
    """
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    cotangent = case.cotangent(frozen.forward(x))
    done = frozen.run_pass(x, cotangent)
    require_input_gradient_shape(done, x)
    function = frozen.differentiable(x)
    check_jointly(
        lambda: function(x),
        {"the input": (x, done.grad_input)}
        | {name: (parameter, done.gradients[name]) for name, (parameter, _) in layer.named_param().items()},
        cotangent,
        case.generator("directions"),
        kinked=case.declares("kinked"),
        counts=counts_of(case, done.output),
    )


@check("layer", share=0, large=1)
def large_batches_are_their_parts(case: LayerCase) -> None:
    """A large batch gives what its uneven parts give, in training and in evaluation: outputs, gradients and sums."""
    if case.declares("mixes_batch") or case.declares("stochastic"):
        not_applicable("the layer is declared to mix the batch or to be stochastic")
    layer, x = case.layer(), case.input()
    frozen = Frozen(layer)
    done = frozen.run_pass(x, case.cotangent)
    cotangent = case.cotangent(done.output)
    sizes = _uneven(case.batch)
    outputs, grads = [], []
    layer.zero_grad()
    for part, its_cotangent in zip(torch.split(x, sizes), torch.split(cotangent, sizes), strict=True):
        outputs.append(frozen.forward(part))
        grads.append(backward(layer, its_cotangent))
    _require_whole(done, Pass(torch.cat(outputs), torch.cat(grads), gradients_of(layer)))
    layer.eval()
    whole = forward(layer, x)
    parts = torch.cat([forward(layer, part) for part in torch.split(x, sizes)])
    require_close(parts, whole, "in evaluation the parts of a large batch give another output than the whole")


def _uneven(batch: int) -> list[int]:
    """Return three sizes that make up ``batch``, or two of a small one: one, most of the rest, and what is left."""
    middle = (batch - 1) * 2 // 3
    return [size for size in (1, middle, batch - 1 - middle) if size]


def _require_whole(whole: Pass, parts: Pass) -> None:
    require_close(parts.output, whole.output, "the parts of a large batch give another output than the whole")
    require_close(parts.grad_input, whole.grad_input, "the parts of a large batch have another gradient of the input")
    for name, gradient in whole.gradients.items():
        what = f"the gradient of {name} of a large batch is not the sum over its parts"
        require_close(parts.gradients[name], gradient, what, 1e-8)


@check("layer", share=0.2, large=0.3)
def gradients_of_any_size(case: LayerCase) -> None:
    """backward(c u) is c backward(u) for c from 1e-12 to 1e12: nothing is cut off, and nothing flushed to zero."""
    for dtype in (torch.float64, torch.float32):
        layer, x = case.layer(dtype), case.input(dtype=dtype)
        frozen = Frozen(layer)
        cotangent = case.cotangent(frozen.forward(x))
        expected = _named(frozen.run_pass(x, cotangent))
        for exponent in (-40, -20, -8, 8, 20, 40):
            # A power of two changes no digit of what is multiplied by it.
            done = _named(frozen.run_pass(x, cotangent * 2.0**exponent))
            for name, gradient in expected.items():
                what = f"for a gradient that is {2.0**exponent:.0e} times as large that of {name} is not"
                require_close(done[name] * 2.0**-exponent, gradient, what, 1e-9 if dtype == torch.float64 else 1e-5)


def _named(done: Pass) -> dict[str, Tensor]:
    return {"the input": done.grad_input, **done.gradients}
