"""The bookkeeping around a hand-written forward and backward.

A subclass writes ``forward`` and ``backward`` as plain mathematics. What every such pair needs besides, it gets from
here, around its own two methods: no autograd graph is ever recorded, a backward without its forward is refused, so is
a gradient of the wrong shape, and what a forward kept is known to be unchanged when the backward uses it.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from layerkit.contracts.workspace import Made, Workspace
from layerkit.errors import ShapeError, StateError


class Differentiable(ABC):  # noqa: B024 - the abstract methods of layers and losses differ in their arguments
    """What layers and losses share: the bookkeeping around a hand-written forward and backward."""

    training: bool = True
    workspace: Workspace | None = None
    _saved: tuple[Any, ...] | None = None
    _versions: tuple[int, ...] = ()
    _output: tuple[torch.Size, torch.dtype] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, guard in (("forward", _guard_forward), ("backward", _guard_backward)):
            if name in cls.__dict__:
                setattr(cls, name, guard(cls.__dict__[name]))

    def save(self, *values: Any) -> None:
        """Keep ``values`` for the backward pass; in evaluation mode nothing is kept."""
        if self.training:
            # Past __setattr__, which looks after parameters and takes its time.
            own = self.__dict__
            own["_saved"], own["_versions"] = values, tuple(map(_version, values))

    def saved(self) -> tuple[Any, ...]:
        """Return what the last forward kept.

        Raises:
            StateError: when there was no forward, or a kept tensor has been changed in place since.
        """
        if self._saved is None:
            raise _backward_first(self)
        for value, version in zip(self._saved, self._versions, strict=True):
            if _version(value) != version:
                raise StateError(
                    f"{type(self).__name__}: a tensor that forward kept was changed in place before backward; "
                    "pass a copy to forward, or change the tensor after backward"
                )
        return self._saved

    def empty(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized contiguous tensor of the dtype and device of ``like``.

        It is a new one, unless a workspace was lent: then the module gets the same memory for the same ``name`` at
        every step. A name may be used for a second tensor when the first is not needed any more.
        """
        workspace = self.workspace
        if workspace is not None and workspace.active:
            return workspace.empty(self, name, shape, like)
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def scratch(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an uninitialized tensor as :meth:`empty` does, for use until this call of the module returns.

        In a workspace other modules get the same memory, so it must not be kept while one of them is called.
        """
        workspace = self.workspace
        if workspace is not None and workspace.active:
            return workspace.scratch(name, shape, like)
        return torch.empty(shape, dtype=like.dtype, device=like.device)

    def empty_like(self, name: str, like: Tensor) -> Tensor:
        """Return an uninitialized tensor of the shape, dtype, device and order in memory of ``like``; see ``empty``."""
        workspace = self.workspace
        if workspace is not None and workspace.active:
            return workspace.empty_like(self, name, like)
        return torch.empty_like(like)

    def plan(self, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return what ``make`` gives: views of ``tensors``, say, and operations on them that are ready to be called.

        Views of small pictures cost about as much as the arithmetic on them. In a workspace the same tensors come again
        at every step, and so does what was made for them. It must depend on nothing but them and the module's settings.
        """
        workspace = self.workspace
        if workspace is not None and workspace.active:
            return workspace.plan(self, name, tensors, make)
        return make()

    def carry_out(self, name: str, tensors: Sequence[Tensor], make: Callable[[], Made]) -> Made:
        """Return the :meth:`plan` of that name after calling all its ``moves``."""
        work = self.plan(name, tensors, make)
        for move in work.moves:
            move()
        return work

    def numbers_out(self) -> int:
        """Return the numbers in the last forward's output, in training mode; 0 where there was none."""
        return self._output[0].numel() if self._output else 0

    def forget(self) -> None:
        """Drop what the last forward kept."""
        own = self.__dict__
        own["_saved"] = own["_output"] = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts fresh: a copied tensor counts its changes anew, so that what was kept could not be trusted.
        return {name: value for name, value in vars(self).items() if name not in ("_saved", "_versions", "_output")}


def _version(value: Any) -> int:
    """Return the counter that every in-place change of a tensor raises."""
    if isinstance(value, Tensor) and not value.is_inference():
        return value._version
    return 0


def _backward_first(node: Differentiable) -> StateError:
    return StateError(
        f"{type(node).__name__}: backward before forward; call forward first, in training mode "
        "(evaluation mode keeps nothing)"
    )


def _guard_forward(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(forward)
    def guarded(self: Differentiable, *inputs: Tensor, **named: Tensor) -> Tensor:
        self.forget()
        try:
            if torch.is_grad_enabled():
                with torch.no_grad():
                    output = forward(self, *inputs, **named)
            else:
                output = forward(self, *inputs, **named)
        except BaseException:
            # A forward that uses another one's may have come half the way.
            self.forget()
            raise
        if self.training:
            self.__dict__["_output"] = output.shape, output.dtype
        return output

    return guarded


def _guard_backward(backward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @wraps(backward)
    def guarded(self: Differentiable, *grads: Tensor, **named: Tensor) -> Tensor:
        if self._output is None:
            raise _backward_first(self)
        for grad in (*grads, *named.values()):
            if (grad.shape, grad.dtype) != self._output:
                shape, dtype = self._output
                raise ShapeError(
                    f"{type(self).__name__}: the gradient must be {tuple(shape)} {dtype} like the output of forward, "
                    f"not {tuple(grad.shape)} {grad.dtype}"
                )
        if torch.is_grad_enabled():
            with torch.no_grad():
                return backward(self, *grads, **named)
        return backward(self, *grads, **named)

    return guarded
