"""One forward and backward pass of a layer, from a state that can be put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.watching import Backward, Forward, watching
from layerkit.testing.check import CheckFailed, require


@dataclass(frozen=True)
class Pass:
    """What one forward and backward gave; the gradients of the parameters are copies."""

    output: Tensor
    grad_input: Tensor
    gradients: dict[str, Tensor]


def run_pass(layer: Module, x: Tensor, cotangent: Tensor | Callable[[Tensor], Tensor]) -> Pass:
    """Return what a forward of ``x`` and a backward give, with gradients that start at zero."""
    for _, gradient in layer.named_param().values():
        gradient.zero_()
    output = forward(layer, x)
    grad_input = backward(layer, cotangent if isinstance(cotangent, Tensor) else cotangent(output))
    return Pass(output, grad_input, gradients_of(layer))


def forward(layer: Module, x: Tensor) -> Tensor:
    """Return the output, which must be a tensor."""
    output = layer.forward(x)
    require(isinstance(output, Tensor), f"forward returned {type(output).__name__}, not a tensor")
    return output


def backward(layer: Module, cotangent: Tensor) -> Tensor:
    """Return the gradient with respect to the input, which must be a tensor."""
    grad_input = layer.backward(cotangent)
    if not isinstance(grad_input, Tensor):
        raise CheckFailed(f"backward returned {type(grad_input).__name__}, not a tensor")
    return grad_input


def gradients_of(layer: Module) -> dict[str, Tensor]:
    """Return copies of the parameters' gradients by name."""
    return {name: gradient.clone() for name, (_, gradient) in layer.named_param().items()}


def parameters_of(layer: Module) -> dict[str, Tensor]:
    """Return copies of the parameters by name."""
    return {name: parameter.clone() for name, (parameter, _) in layer.named_param().items()}


class Frozen:
    """The buffers and random generators of a layer as they are now.

    A forward in training draws random numbers and moves running averages; to ask what the same forward gives for
    another input, both must be put back first. The parameters are left alone, as they may be what is varied.
    """

    def __init__(self, layer: Module) -> None:
        self.layer = layer
        self._buffers = [(tensor, tensor.clone()) for tensor in buffers_of(layer)]
        self._generators = [(generator, generator.get_state()) for generator in generators_of(layer)]

    def restore_buffers(self) -> None:
        """Give the buffers the values that they had."""
        for tensor, value in self._buffers:
            tensor.copy_(value)

    def restore(self) -> None:
        """Give the buffers and the random generators the state that they had."""
        self.restore_buffers()
        for generator, state in self._generators:
            generator.set_state(state)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer gives for ``x`` from the frozen state."""
        self.restore()
        return forward(self.layer, x)

    def differentiable(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the function that backward is to be the derivative of at ``x`` and the present parameters.

        That is the forward from the frozen state, unless a layer declares a surrogate. Such a layer then gives what it
        gives for ``x`` itself, plus the change of its surrogate; the layers after it are where forward has them.
        """
        substitutes = [Substitute(module) for module in surrogates_in(self.layer)]
        if not substitutes:
            return self.forward
        watched = [(substitute.module, substitute) for substitute in substitutes]
        with watching(watched):
            self.forward(x)

        def near(x: Tensor) -> Tensor:
            for substitute in substitutes:
                substitute.calls = 0
            with watching(watched):
                return self.forward(x)

        return near

    def run_pass(self, x: Tensor, cotangent: Tensor | Callable[[Tensor], Tensor]) -> Pass:
        """Return what a pass gives from the frozen state."""
        self.restore()
        return run_pass(self.layer, x, cotangent)


class Substitute:
    """Stands for a layer whose backward is the derivative of something else than its forward.

    Attributes:
        module: the layer.
        calls: how many of the calls of the first pass have been repeated; None during that pass.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.calls: int | None = None
        self._first: list[tuple[Tensor, Tensor]] = []

    def forward(self, method: Forward, x: Tensor) -> Tensor:
        """Return the output in the first pass, and then the same output with the change of the surrogate."""
        if self.calls is None:
            self._first.append((method(x).clone(), self.module.surrogate(x).clone()))
            return self._first[-1][0]
        output, start = self._first[self.calls]
        self.calls += 1
        return output + (self.module.surrogate(x) - start)

    def backward(self, method: Backward, grad_output: Tensor) -> Tensor | None:
        """Return the layer's own gradient."""
        return method(grad_output)


def surrogates_in(layer: Module) -> list[Module]:
    """Return the layers, this one and those inside it, whose specs declare a surrogate."""
    found = [module for _, module in layer.modules() if module.declared_by and module.declared_by.surrogate]
    for module in found:
        own = type(module).surrogate is not Module.surrogate
        require(own, f"the spec declares surrogate, and {type(module).__name__} has no method surrogate(x)")
    return found


def buffers_of(layer: Module) -> Iterator[Tensor]:
    """Yield the buffers of a layer and of the layers inside it."""
    for _, module in layer.modules():
        for name in module._buffers:
            yield getattr(module, name)


def generators_of(layer: Module) -> Iterator[torch.Generator]:
    """Yield the random generators of a layer and of the layers inside it."""
    for _, module in layer.modules():
        yield from (value for value in vars(module).values() if isinstance(value, torch.Generator))
