"""The bookkeeping around a hand-written forward and backward.

A subclass writes ``forward`` and ``backward`` as plain mathematics. The checks that every such pair needs are added
here: autograd never records a graph, and three things are errors: a backward without its forward, a gradient of the
wrong shape, and a change of a tensor that forward saved and backward has not used yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import wraps
from threading import get_ident
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from layerkit.contracts.built import Built
from layerkit.contracts.misfit import misfit, not_a_tensor
from layerkit.contracts.workspace import LENT, Made
from layerkit.errors import LayerkitError, ShapeError, StateError

EVALUATING: ContextVar[bool] = ContextVar("evaluating", default=False)
"""Whether this thread has put all modules and losses into evaluation mode, whatever their own mode is."""


class Planned(Protocol):
    """A computation on tensors that are known beforehand."""

    @property
    def moves(self) -> Iterable[Callable[[], object]]:
        """The operations of the computation, to be called in this order."""


Plan = TypeVar("Plan", bound=Planned)


class Differentiable(Built):
    """The base class of layers and losses: the bookkeeping around a hand-written forward and backward.

    The ``forward`` and ``backward`` that a subclass defines are wrapped when the class is made. Autograd is off in
    both. In training mode ``forward`` drops what an earlier forward saved, and remembers the shape and dtype of its
    output, with which ``backward`` compares the gradient. In evaluation mode nothing is written, so that many threads
    may evaluate at once.

    Attributes:
        trained_by: the identifier of the thread that is in the middle of a training step with this module or loss, see
            :mod:`layerkit.contracts.threads`; None between the steps.
    """

    trained_by: int | None = None
    _training: bool = True
    _saved: tuple[Any, ...] | None = None
    _versions: tuple[int, ...] = ()
    _output: tuple[torch.Size, torch.dtype] | None = None
    _thread: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, guard in (("forward", _guard_forward), ("backward", _guard_backward)):
            if name in cls.__dict__:
                setattr(cls, name, guard(cls.__dict__[name]))

    @property
    def training(self) -> bool:
        """Whether forward keeps the tensors that backward needs; changing the mode drops them.

        While a thread evaluates, as in ``Denoiser.predict``, it is False for that thread only.
        """
        return self._training and not EVALUATING.get()

    @training.setter
    def training(self, mode: bool) -> None:
        self.__dict__["_training"] = mode
        self.forget()

    @property
    def trained_elsewhere(self) -> bool:
        """Whether another thread is in the middle of a training step with this module or loss."""
        return self.trained_by is not None and self.trained_by != get_ident()

    def save(self, *values: Any) -> None:
        """Keep ``values`` for backward, which gets them by :meth:`saved`; in evaluation mode nothing is kept."""
        if self.training:
            # Not by assignment, which would go through the slow __setattr__ that modules have for their parameters.
            state = self.__dict__
            state["_saved"], state["_versions"] = values, tuple(map(version, values))

    def saved(self) -> tuple[Any, ...]:
        """Return what the last forward gave to :meth:`save`.

        Raises:
            StateError: when there was no forward in training mode, or a saved tensor has been changed in place since.
        """
        if self._saved is None:
            raise _backward_first(self)
        for value, kept in zip(self._saved, self._versions, strict=True):
            if version(value) != kept:
                raise StateError(
                    f"{type(self).__name__}: a tensor that forward kept was changed in place before backward; "
                    "pass a copy to forward, or change the tensor after backward"
                )
        return self._saved

    def empty(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized contiguous tensor of the dtype and device of ``like``.

        Without a workspace it is new memory. In a workspace, the same ``name`` gets the same memory at every step; a
        name may be used for a second tensor when the first is no longer needed.
        """
        workspace = LENT.get()
        if workspace is not None:
            return workspace.empty(self, name, shape, like)
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def scratch(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized tensor as :meth:`empty` does, for use until forward or backward returns.

        In a workspace other modules get the same memory, so it must not be used after calling one of them.
        """
        workspace = LENT.get()
        if workspace is not None:
            return workspace.scratch(self, name, shape, like)
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def empty_like(self, name: str, like: Tensor) -> Tensor:
        """Return an uninitialized tensor of the shape, dtype, device and memory order of ``like``; see ``empty``."""
        workspace = LENT.get()
        if workspace is not None:
            return workspace.empty_like(self, name, like)
        return torch.empty_like(like)

    def passed_on(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized contiguous tensor for the output of forward in evaluation mode.

        Without a workspace it is new memory. In a workspace the caller of forward hands the memory on to other layers
        when it no longer needs the output, see :meth:`release`.
        """
        workspace = LENT.get()
        if workspace is not None:
            return workspace.passed_on(self, shape, like)
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def release(self, tensor: Tensor, *kept: Tensor) -> None:
        """Declare that ``tensor`` is no longer needed in this pass, in evaluation mode.

        A layer that calls others declares this of their outputs, as :class:`~layerkit.layers.Sequential` does.

        Args:
            tensor: the output of another module's forward.
            kept: tensors that are still needed; memory that holds one of them is not released.
        """
        workspace = LENT.get()
        if workspace is not None and not self.training and not any(_lies_with(tensor, other) for other in kept):
            workspace.release(tensor)

    def plan(self, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return the result of ``make``, such as views of ``tensors`` and operations on them, ready to be called.

        Making views of small pictures takes about as long as the arithmetic on them. In a workspace the same tensors
        come again at every step, and the earlier result is returned again. It must depend only on the tensors and the
        module's settings.
        """
        workspace = LENT.get()
        if workspace is not None:
            return workspace.plan(self, name, tensors, make)
        return make()

    def carry_out(self, name: str, tensors: Sequence[Tensor], make: Callable[[], Plan]) -> Plan:
        """Call all the moves of the :meth:`plan` of that name, and return the plan."""
        plan = self.plan(name, tensors, make)
        for move in plan.moves:
            move()
        return plan

    def numbers_out(self) -> int:
        """Return how many numbers the output of the last forward in training mode has; 0 where there was none."""
        return self._output[0].numel() if self._output else 0

    def forget(self) -> None:
        """Drop what the last forward saved."""
        state = self.__dict__
        state["_saved"] = state["_output"] = None

    def _own_tensor(self) -> Tensor | None:
        """Return a tensor with the dtype and device of the computation; None where any are accepted."""
        return None

    def _explain(self, error: BaseException, inputs: Sequence[object]) -> None:
        """Raise an error that says what is wrong with the inputs of a pass, if that is why torch failed.

        Raises:
            TensorError: when an input is not a tensor of floats, or its dtype or device is not that of the parameters.
        """
        if isinstance(error, Exception) and not isinstance(error, LayerkitError):
            told = misfit(type(self).__name__, inputs, self._own_tensor())
            if told is not None:
                raise told from error

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts without saved tensors: a copied tensor counts its changes from zero again, so the copy could not
        # tell whether it was changed.
        return {name: value for name, value in vars(self).items() if name not in _OF_A_PASS}


_OF_A_PASS = frozenset({"trained_by", "_saved", "_versions", "_output", "_thread"})
"""The attributes that belong to a pass and not to the module or loss."""


def version(value: Any) -> int:
    """Return the counter that each in-place change of a tensor increases; 0 for values without one."""
    if isinstance(value, Tensor) and not value.is_inference():
        return value._version
    return 0


def _lies_with(first: Tensor, second: Tensor) -> bool:
    return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()


def _backward_first(node: Differentiable) -> StateError:
    return StateError(
        f"{type(node).__name__}: backward before forward; call forward first, in training mode "
        "(evaluation mode keeps nothing)"
    )


def _guard_forward(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(forward)
    def guarded(self: Differentiable, *inputs: Tensor, **named: Tensor) -> Tensor:
        training, thread = self.training, get_ident()
        if training:
            if self.trained_by is not None and self.trained_by != thread:
                raise StateError(
                    f"{type(self).__name__}: forward in training mode while another thread is in the middle of a "
                    "training step; call eval() on a copy (copy.deepcopy), or use layerkit.Denoiser"
                )
            self.forget()
        try:
            if torch.is_grad_enabled():
                with torch.no_grad():
                    output = forward(self, *inputs, **named)
            else:
                output = forward(self, *inputs, **named)
        except BaseException as error:
            if training:
                # A forward that calls its base class's forward may have saved something before it failed.
                self.forget()
            self._explain(error, (*inputs, *named.values()))
            raise
        if training:
            state = self.__dict__
            state["_output"], state["_thread"] = (output.shape, output.dtype), thread
        return output

    return guarded


def _guard_backward(backward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(backward)
    def guarded(self: Differentiable, *grads: Tensor, **named: Tensor) -> Tensor:
        if self._output is None or EVALUATING.get():
            raise _backward_first(self)
        if self._thread != get_ident():
            raise StateError(
                f"{type(self).__name__}: the last forward was called by another thread, which alone may call its "
                "backward; train a network in one thread at a time, or a copy of it in each (copy.deepcopy)"
            )
        for grad in (*grads, *named.values()):
            if not isinstance(grad, Tensor):
                raise not_a_tensor(type(self).__name__, grad)
            if (grad.shape, grad.dtype) != self._output:
                shape, dtype = self._output
                raise ShapeError(
                    f"{type(self).__name__}: the gradient must be {tuple(shape)} {dtype} like the output of forward, "
                    f"not {tuple(grad.shape)} {grad.dtype}"
                )
        try:
            if torch.is_grad_enabled():
                with torch.no_grad():
                    return backward(self, *grads, **named)
            return backward(self, *grads, **named)
        except Exception as error:
            self._explain(error, (*grads, *named.values()))
            raise

    return guarded
