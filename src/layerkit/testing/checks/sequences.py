"""One component for many inputs: what it keeps for one size and dtype it does not use for another."""

from __future__ import annotations

import torch
from torch import Tensor

from layerkit.contracts.noise import Noise
from layerkit.testing.cases.case import LayerCase, LossCase, NoiseCase
from layerkit.testing.check import check
from layerkit.testing.checks.composition import larger
from layerkit.testing.instruments.comparison import require_close, require_same_bits
from layerkit.testing.instruments.passes import forward, run_pass

DTYPES = (torch.float32, torch.float64)
ORDER = ((0, 0), (1, 0), (0, 1), (1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (0, 0))
"""Which dtype and which size come one after the other, so that each follows each other one."""


@check("layer", "loss", "noise", most=4)
def sizes_and_dtypes_in_turn(case: LayerCase | LossCase | NoiseCase) -> None:
    """Used for float32 and float64 and for two sizes in turn, it does what a new one does for each of them.

    A cache by size that forgets the dtype, or a buffer that stays as it was, is right until both change.
    """
    match case:
        case LayerCase():
            _layer(case)
        case LossCase():
            _loss(case)
        case NoiseCase():
            _noise(case)


def _layer(case: LayerCase) -> None:
    layer = case.layer(torch.float32)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    shapes = ((case.batch, *case.input_shape), (case.batch + 2, *larger(case.spec, case.input_shape, 1)))
    for which, size in ORDER:
        dtype = DTYPES[which]
        x = case.normal(f"size {size}", *shapes[size], dtype=dtype)
        fresh = case.fresh(purpose="another seed").to(dtype=dtype)
        fresh.load_state_dict(state)
        layer.to(dtype=dtype)
        layer.load_state_dict(state)
        expected = run_pass(fresh, x, case.cotangent)
        done = run_pass(layer, x, case.cotangent)
        after = f"for {tuple(x.shape)} in {dtype}, after other sizes and dtypes,"
        require_close(done.output, expected.output, f"{after} the output is not that of a new layer")
        require_close(done.grad_input, expected.grad_input, f"{after} the gradient is not that of a new layer")
        for name, gradient in expected.gradients.items():
            require_close(done.gradients[name], gradient, f"{after} the gradient of {name} is another")
        evaluation = forward(fresh.eval(), x)
        require_close(forward(layer.eval(), x), evaluation, f"{after} the output in evaluation is another")
        layer.train()


def _loss(case: LossCase) -> None:
    loss = case.loss()
    larger_shape = (case.shape[0] + 2, *case.shape[1:])
    for which, size in ORDER:
        pair = []
        for purpose in ("prediction", "target"):
            values = torch.cat([getattr(case, purpose)(), getattr(case, purpose)(purpose="more")])
            values = torch.cat([values, values, values])[: (case.shape, larger_shape)[size][0]]
            pair.append(values.to(DTYPES[which]))
        fresh = case.loss()
        after = f"for {tuple(pair[0].shape)} in {DTYPES[which]}, after other sizes and dtypes,"
        require_same_bits(loss.forward(*pair), fresh.forward(*pair), f"{after} the loss is not that of a new one")
        require_same_bits(loss.backward(), fresh.backward(), f"{after} the gradient is not that of a new loss")


def _noise(case: NoiseCase) -> None:
    noise = case.noise()
    count, channels, height, width = case.shape
    shapes = (case.shape, (count + 2, channels, width + 1, height))
    for which, size in ORDER:
        fresh = case.noise()
        source = case.source(fresh, DTYPES[which], shapes[size])
        after = f"for {tuple(source.shape)} in {DTYPES[which]}, after other sizes and dtypes,"

        def drawn(of: str, noise: Noise, source: Tensor = source) -> Tensor:
            if of == "clean":
                return noise.clean(source)
            return (noise.draw if of == "draw" else noise.target)(source, case.generator("draw"))

        for of in ("draw", "target", "clean"):
            require_same_bits(drawn(of, noise), drawn(of, fresh), f"{after} {of} is not that of a new noise")
