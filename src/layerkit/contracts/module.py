"""The contract of a layer: forward, backward, param."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from layerkit.contracts import tree
from layerkit.contracts.differentiable import Differentiable
from layerkit.contracts.generators import generator_on, is_generator_state, is_of_another_device, set_state
from layerkit.contracts.sharing import SHARED
from layerkit.errors import CheckpointError, ShapeError

if TYPE_CHECKING:
    from layerkit.contracts.specs import LayerSpec  # specs.py imports this module


class Module(Differentiable):
    """The base class of all layers: ``forward``, ``backward`` and ``param``, as in section II.A of the report.

    - ``forward(x)`` takes and returns one tensor, batch first.
    - ``backward(grad_output)`` returns the gradient with respect to x and *adds* the parameters' gradients to tensors
      that stay the same objects. Where ``needs_input_grad`` is False it may return None.
    - ``param()`` returns the (parameter, gradient) pairs, ``[]`` where there are none.

    Neither ``forward`` nor ``backward`` writes into a tensor that the caller passed, and nothing they return is
    overwritten by a later call (unless the caller lent a workspace). In evaluation mode ``forward`` writes nothing into
    the module either, since several threads may call it at once.

    The results of a module depend only on its spec, its state, its input and its generator: not on the time, the
    process, its environment or the hashes of strings, nor on torch's default dtype and device. New tensors take dtype
    and device from existing ones. Its state is all that it remembers: another module that loads it continues bit for
    bit, and evaluations in between change nothing. Parameters, gradients and buffers have memory of their own, lie in
    the order in which they were made, and stay there.

    Two things are done for every subclass. First, its ``forward`` and ``backward`` are *guarded*: they are wrapped when
    the class is made, so that autograd records nothing. A backward before its forward is a StateError, a saved tensor
    that was changed in place is one too, and a gradient whose shape or dtype is not that of the output is a ShapeError
    (see :class:`~layerkit.contracts.differentiable.Differentiable`). Second, *assigning to a parameter*, its gradient
    or a buffer copies the values into the existing tensor (see ``__setattr__``), so that an optimizer, which holds that
    tensor, sees them; a value of another shape is a ShapeError.

    A subclass declares its tensors as annotations, and makes them in ``__init__``::

        class Scale(Module):
            weight: Tensor
            weight_grad: Tensor

            def __init__(self, channels: int) -> None:
                super().__init__()
                self.add_parameter("weight", torch.ones(channels))

    Attributes:
        needs_input_grad: False where the gradient with respect to the input is not used, as in the first layer of a
            network that is being trained.
        mixes_batch: whether a sample's output depends on the other samples of its batch.
        spans_processes: whether a layer that mixes its batch does so over all of it where several processes share it,
            by :meth:`whole_batch` and :meth:`over_batch`. No other such layer is trained by several processes.
        leaves_gradients: whether the backward of a layer with others inside leaves their gradients to them, so that
            several processes may sum those as soon as each is done. It holds for the class that says it, and for
            subclasses without a ``backward`` of their own.
        declared_by: the spec that it was built from; None for a module made in Python.
        declared_for: the shape of one input sample that it was built for; None for a module made in Python.
    """

    in_tree: ClassVar[bool] = True
    leaves_gradients: ClassVar[bool] = False

    needs_input_grad: bool = True
    mixes_batch: bool = False
    spans_processes: bool = False
    declared_by: LayerSpec | None = None
    declared_for: tuple[int, ...] | None = None

    # The names given to add_parameter and add_buffer. Tuples on the class, not lists made in __init__, because a
    # subclass may forget to call super().__init__().
    _parameters: tuple[str, ...] = ()
    _buffers: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "backward" in cls.__dict__ and "leaves_gradients" not in cls.__dict__:
            cls.leaves_gradients = False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the output for ``x``, batch first.

        Raises:
            ShapeError: when the layer cannot take ``x``.
        """

    @abstractmethod
    def backward(self, grad_output: Tensor) -> Tensor | None:
        """Add to the parameters' gradients and return the gradient with respect to the last forward's ``x``.

        It may return None only where ``needs_input_grad`` is False; a layer that always returns the gradient is
        annotated with ``-> Tensor``.

        Args:
            grad_output: the gradient with respect to the output of forward, in its shape and dtype.

        Raises:
            StateError: when there was no forward in training mode, or a tensor that it saved was changed in place.
            ShapeError: when ``grad_output`` has not the shape and dtype of the output.
        """

    def surrogate(self, x: Tensor) -> Tensor:
        """Return what :meth:`backward` is the derivative of, for a layer whose spec declares that it is not forward.

        That is ``x`` where the gradient goes straight through, and ``-x`` where it is turned around. It is called after
        a forward, and what that has estimated, it takes for constant. The conformance kit alone calls it.

        Args:
            x: an input near the last forward's, of its shape.
        """
        raise NotImplementedError(f"{type(self).__name__} has no surrogate, which its spec declares")

    def __call__(self, x: Tensor) -> Tensor:
        """Return :meth:`forward` of ``x``."""
        return self.forward(x)

    def parameters(self) -> list[Tensor]:
        """Return the learned tensors of this module, without those of the modules inside it."""
        return [vars(self)[name] for name in self._parameters]

    def gradients(self) -> list[Tensor]:
        """Return the gradients of :meth:`parameters`."""
        return [vars(self)[f"{name}_grad"] for name in self._parameters]

    def _own_tensor(self) -> Tensor | None:
        """Return a tensor with the dtype and device of the parameters; None where there are none."""
        return next((tensor for tensor in self.state_dict().values() if tensor.is_floating_point()), None)

    # A batch that several processes share

    def whole_batch(self, samples: int) -> int:
        """Return how many samples the batch has in all processes; ``samples``, those that are here, with one alone."""
        shared = SHARED.get()
        return samples if shared is None else shared.samples

    def over_batch(self, sums: Tensor) -> Tensor:
        """Return sums over the samples that are here, added up over all processes that share the batch.

        Every process has to call it equally often, in forward and in backward, and with tensors of one shape. The
        gradients of parameters are summed by the trainer, and are no case for it.
        """
        shared = SHARED.get()
        return sums if shared is None else shared.summed(sums)

    # Parameters, buffers and children

    def add_parameter(self, name: str, value: Tensor) -> None:
        """Make ``self.<name>`` a learned tensor and ``self.<name>_grad`` its gradient, zero at first."""
        setattr(self, name, value.detach())
        setattr(self, f"{name}_grad", torch.zeros_like(value.detach()))
        self._parameters = (*self._parameters, name)

    def add_buffer(self, name: str, value: Tensor) -> None:
        """Make ``self.<name>`` a tensor that is saved and moved with the module but not learned."""
        setattr(self, name, value.detach())
        self._buffers = (*self._buffers, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Optimizers and other objects hold the parameters and gradients, and must see the new values.
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
        """Return the names of the parameters, gradients and buffers, whose tensors are never replaced."""
        return [*self._parameters, *(f"{name}_grad" for name in self._parameters), *self._buffers]

    def children(self) -> dict[str, Module]:
        """Return the modules directly inside this one by name; a subclass that keeps them in a list overrides this."""
        # Iterate over a copy, because another thread may be setting an attribute.
        return {name: value for name, value in vars(self).copy().items() if Module in type(value).__mro__}

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

    # Printing

    def __repr__(self) -> str:
        return tree.text(self)

    def _repr_html_(self) -> str:  # called by notebooks
        return tree.table(self)

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Return the shapes of one sample of its input and its output, as its spec says; None without a spec."""
        if self.declared_by is None or self.declared_for is None:
            return None
        try:
            return self.declared_for, self.declared_by.output_shape(self.declared_for)
        except Exception:  # a mistake in a plugin's spec must not prevent printing, which may be how it is found
            return None

    # Modes, dtype and device

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, in which forward keeps what backward needs."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode, in which nothing is kept."""
        return self.train(False)

    def to(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Self:
        """Convert and move parameters, gradients and buffers, in place; only floating-point ones change their dtype.

        A random generator cannot be moved: on a device of another kind its place is taken by one of that kind, whose
        seed depends on its state.
        """
        for _, module in self.modules():
            module.forget()
            for name in module._held():
                tensor = getattr(module, name)
                tensor.data = tensor.data.to(dtype=dtype if tensor.is_floating_point() else None, device=device)
            if device is not None:
                for name, value in vars(module).copy().items():
                    if isinstance(value, torch.Generator):
                        setattr(module, name, generator_on(torch.device(device), value))
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
            for name, value in vars(module).copy().items()
            if isinstance(value, torch.Generator)
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Copy ``state`` into the module; nothing is changed unless everything fits.

        Raises:
            CheckpointError: when a name is missing or unknown, or the shape or type of a tensor differs.
        """
        own, generators = self.state_dict(), self._all_generators()
        faults = [f"{name} is missing" for name in own.keys() - state.keys()]
        faults += [f"{name} is unknown" for name in state.keys() - own.keys()]
        for name in own.keys() & state.keys():
            want, given = own[name], state[name]
            if name in generators and is_of_another_device(want, given):
                continue
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
            set_state(generator, state[name])


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
