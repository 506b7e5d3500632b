"""A layer that mixes its batch over all processes computes what it computes in one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from queue import SimpleQueue

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.sharing import SHARED
from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check, not_applicable, require
from layerkit.testing.instruments.comparison import require_close
from layerkit.testing.instruments.passes import Pass, buffers_of, run_pass


@check("layer", share=0.4)
def processes_share_a_batch(case: LayerCase) -> None:
    """A layer that says ``spans_processes`` gives for a batch in two processes what it gives in one.

    Outputs and gradients of the input stand side by side, gradients of parameters add up, and both processes have the
    buffers of one. Two threads stand for the processes, each with a copy of the layer.
    """
    layer = case.layer()
    mixing = [module for _, module in layer.modules() if module.mixes_batch]
    if not mixing or not all(module.spans_processes for module in mixing):
        not_applicable("the layer does not say that it mixes a batch over several processes")
    if case.declares("stochastic"):
        not_applicable("the layer is declared stochastic, and such layers are trained in one process")
    x, middle = case.input(), case.batch // 2
    copies = deepcopy(layer), deepcopy(layer)
    whole = run_pass(layer, x, case.cotangent)
    cotangent = case.cotangent(whole.output)
    ways: tuple[SimpleQueue[Tensor | None], ...] = SimpleQueue(), SimpleQueue()
    with ThreadPoolExecutor(2) as pool:
        begun = [
            pool.submit(_run_part, copy, x[part], cotangent[part], _Part(case.batch, there, back))
            for copy, part, there, back in zip(
                copies, (slice(middle), slice(middle, None)), ways, reversed(ways), strict=True
            )
        ]
    parts = [future.result() for future in begun]
    require_close(torch.cat([part.output for part in parts]), whole.output, "two processes give another output")
    grad_input = torch.cat([part.grad_input for part in parts])
    require_close(grad_input, whole.grad_input, "two processes give another gradient of the input")
    for name, gradient in whole.gradients.items():
        total = parts[0].gradients[name] + parts[1].gradients[name]
        require_close(total, gradient, f"the gradient of {name} is not the sum over two processes", 1e-8)
    for copy in copies:
        for given, expected in zip(buffers_of(copy), buffers_of(layer), strict=True):
            require_close(given, expected, "a process has another buffer than one alone")


class _Part:
    """A batch as one of two processes sees it; see :class:`layerkit.contracts.sharing.SharedBatch`."""

    def __init__(self, samples: int, there: SimpleQueue[Tensor | None], back: SimpleQueue[Tensor | None]) -> None:
        self.samples, self._there, self._back = samples, there, back

    def summed(self, tensor: Tensor) -> Tensor:
        """Return the sum of the two tensors."""
        self._there.put(tensor.clone())
        other = self._back.get()
        if other is None:
            raise CheckFailed("one process asks for a sum over the batch that the other does not ask for")
        require(other.shape == tensor.shape, "two processes ask for a sum of tensors of different shapes")
        return tensor + other

    def end(self) -> None:
        """Let the other know that no sum will be asked for any more."""
        self._there.put(None)


def _run_part(layer: Module, x: Tensor, cotangent: Tensor, batch: _Part) -> Pass:
    SHARED.set(batch)  # in this thread alone, which ends with the check
    try:
        return run_pass(layer, x, cotangent)
    finally:
        batch.end()
