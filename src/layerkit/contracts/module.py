"""The contract of a layer: forward, backward, param."""

from __future__ import annotations

import struct
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor

from layerkit.contracts.differentiable import Differentiable
from layerkit.contracts.workspace import Workspace
from layerkit.errors import CheckpointError, ShapeError


class Module(Differentiable):
    """A layer: ``forward``, ``backward`` and ``param``, as in section II.A of the report.

    - ``forward(x)`` takes and returns one tensor, batch first.
    - ``backward(grad_output)`` returns the gradient with respect to x and *adds* the parameters' gradients into tensors
      whose identity never changes.
    - ``param()`` returns the (parameter, gradient) pairs, ``[]`` where there are none.

    Neither method writes into a tensor the caller handed in, and nothing returned is overwritten by a later call.

    Attributes:
        training: whether forward keeps what backward needs, and whether layers such as dropout are active.
        needs_input_grad: False where nobody asks for the input gradient, as in the first layer of a network in
            training; ``backward`` may then return None.
        mixes_batch: whether a sample's output depends on the other samples of its batch.
        declared_by: the spec that it was built from; None for a module made in Python.
    """

    needs_input_grad: bool = True
    mixes_batch: bool = False
    declared_by: Any = None

    _parameters: list[str]
    _buffers: list[str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Here and not in __init__, which a subclass may forget to call.
        self = super().__new__(cls)
        self._parameters, self._buffers = [], []
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``, batch first."""

    @abstractmethod
    def backward(self, grad_output: Tensor) -> Tensor:
        """Add to the parameters' gradients and return the gradient with respect to the last forward's ``x``."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def parameters(self) -> list[Tensor]:
        """Return the learned tensors of this module alone."""
        return [vars(self)[name] for name in self._parameters]

    def gradients(self) -> list[Tensor]:
        """Return the gradients of :meth:`parameters`."""
        return [vars(self)[f"{name}_grad"] for name in self._parameters]

    def lend(self, workspace: Workspace | None) -> None:
        """Let this module and those inside it work in ``workspace`` while that is active."""
        for _, module in self.modules():
            module.workspace = workspace

    @contextmanager
    def working_in(self, workspace: Workspace) -> Iterator[None]:
        """Lend a workspace for what happens inside ``with``, and give back what was lent before."""
        before = [(module, module.workspace) for _, module in self.modules()]
        self.lend(workspace)
        try:
            with workspace:
                yield
        finally:
            for module, lent in before:
                module.workspace = lent

    # Parameters, buffers and children

    def add_parameter(self, name: str, value: Tensor) -> None:
        """Make ``self.<name>`` a learned tensor and ``self.<name>_grad`` its gradient, zero at first."""
        setattr(self, name, value.detach())
        setattr(self, f"{name}_grad", torch.zeros_like(value.detach()))
        self._parameters.append(name)

    def add_buffer(self, name: str, value: Tensor) -> None:
        """Make ``self.<name>`` a tensor that is saved and moved with the module but not learned."""
        setattr(self, name, value.detach())
        self._buffers.append(name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Whoever holds a parameter or its gradient, an optimizer above all, must see the new values: assigning to one
        # copies into it and never puts another tensor in its place.
        held = self.__dict__.get(name)
        if isinstance(held, Tensor) and name in self._held():
            if held is not value:
                if not isinstance(value, Tensor) or value.shape != held.shape:
                    given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    raise ShapeError(f"{type(self).__name__}.{name} is a tensor of {tuple(held.shape)}, not {given}")
                held.copy_(value.detach())
            return
        object.__setattr__(self, name, value)

    def _held(self) -> list[str]:
        return [*self._parameters, *(f"{name}_grad" for name in self._parameters), *self._buffers]

    def children(self) -> dict[str, Module]:
        """Return the modules directly inside this one by name; those kept in a list need an override."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module and all modules inside it with their dotted names, parents first."""
        yield prefix, self
        for name, child in self.children().items():
            yield from child.modules(_dotted(prefix, name))

    def named_param(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the (parameter, gradient) pairs by dotted name."""
        return {
            _dotted(prefix, name): (getattr(module, name), getattr(module, f"{name}_grad"))
            for prefix, module in self.modules()
            for name in module._parameters
        }

    def param(self) -> list[tuple[Tensor, Tensor]]:
        """Return the (parameter, gradient) pairs, in a fixed order."""
        return list(self.named_param().values())

    def zero_grad(self) -> None:
        """Set every gradient to zero, in place."""
        for _, grad in self.param():
            grad.zero_()

    # Modes, dtype and device

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, in which forward keeps what backward needs."""
        for _, module in self.modules():
            module.training = mode
            module.forget()
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode, in which nothing is kept."""
        return self.train(False)

    def to(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Self:
        """Move parameters, gradients and floating-point buffers; whoever holds them sees the move."""
        for _, module in self.modules():
            module.forget()
            for name in module._held():
                tensor = getattr(module, name)
                tensor.data = tensor.data.to(dtype=dtype if tensor.is_floating_point() else None, device=device)
        return self

    # Persistence

    def state_dict(self) -> dict[str, Tensor]:
        """Return parameters, buffers and the states of random generators by dotted name.

        The tensors of parameters and buffers are the module's own, not copies.
        """
        tensors = {
            _dotted(prefix, name): getattr(module, name)
            for prefix, module in self.modules()
            for name in (*module._parameters, *module._buffers)
        }
        return tensors | {name: generator.get_state() for name, generator in self._all_generators().items()}

    def _all_generators(self) -> dict[str, torch.Generator]:
        return {
            _dotted(prefix, name): value
            for prefix, module in self.modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Generator)
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy ``state`` into the module; nothing is changed unless everything fits.

        Raises:
            CheckpointError: when a name is missing or unknown, or a shape or kind of number differs.
        """
        own, generators = self.state_dict(), self._all_generators()
        faults = [f"{name} is missing" for name in own.keys() - state.keys()]
        faults += [f"{name} is unknown" for name in state.keys() - own.keys()]
        for name in own.keys() & state.keys():
            want, given = own[name], state[name]
            if want.shape != given.shape:
                faults.append(f"{name} must be {tuple(want.shape)}, not {tuple(given.shape)}")
            elif want.is_floating_point() != given.is_floating_point():
                faults.append(f"{name} must be {want.dtype}, not {given.dtype}")
            elif name in generators and not is_generator_state(generators[name], given):
                faults.append(f"{name} is not the state of a random generator")
        if faults:
            more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
            listed = "; ".join(sorted(faults)[:5])
            raise CheckpointError(f"the weights do not fit {type(self).__name__}: {listed}{more}")
        with torch.no_grad():
            for name in own.keys() - generators.keys():
                own[name].copy_(state[name])
        for name, generator in generators.items():
            generator.set_state(state[name])


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


# torch keeps its Mersenne twister on the CPU as: seed (8 bytes), numbers left before new ones are made (4), whether it
# was seeded (4), place of the next number (8), and 624 numbers.
_COUNTERS = struct.Struct("=QiiQ")
_NUMBERS = 624


def is_generator_state(generator: torch.Generator, state: Tensor) -> bool:
    """Return whether ``state`` can be given to ``generator``, which is not changed."""
    try:
        torch.Generator(generator.device).set_state(state)
    except (RuntimeError, TypeError):
        return False
    if generator.device.type != "cpu":
        return True
    # torch checks both counters, but not that they fit together: it would read what lies behind its numbers.
    _, left, _, following = _COUNTERS.unpack_from(state.numpy().tobytes())
    return left + following <= _NUMBERS + 1
