"""What is checked: anything that maps tensors to tensors, as one function of positional arguments."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy
import torch
from torch import Tensor

from layerkit.errors import UserError
from layerkit.testing.foreign.adapters import as_arrays, paired, parametrized, pulled, tensors_in, with_keywords
from layerkit.testing.foreign.drawn import Drawn

Kind = Literal["function", "module", "operator", "pair"]


@dataclass(frozen=True)
class Argument:
    """One argument of a target.

    Attributes:
        name: as its signature has it.
        example: a tensor, a :class:`~layerkit.testing.foreign.drawn.Drawn`, or anything else, handed on as it is.
        parameter: whether it is a parameter of a module, whose shape stays as it is.
    """

    name: str
    example: Any
    parameter: bool = False


@dataclass(frozen=True)
class Writing:
    """How a script comes by the function.

    Attributes:
        expression: that gives it.
        objects: what the names in the expression stand for.
    """

    expression: str
    objects: Mapping[str, object]


@dataclass(frozen=True)
class Target:
    """A function to be checked, with an example of its arguments.

    Attributes:
        name: for reports.
        kind: what it was.
        function: takes the arguments in order, and returns tensors.
        arguments: in order.
        writing: for scripts.
        remembers: whether forward leaves something in an object, so that backward belongs to the last one.
        differentiable: the numbers of the outputs that have a gradient; None for all of them.
        dirty: the arguments that it changes on purpose.
        spoilt: the arguments that it changes without a word; it is given copies, but by the check that says so.
        operator: what torch.library.opcheck takes, of an operator.
    """

    name: str
    kind: Kind
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    writing: Writing
    remembers: bool = False
    differentiable: tuple[int, ...] | None = None
    dirty: frozenset[int] = field(default_factory=frozenset)
    spoilt: frozenset[int] = field(default_factory=frozenset)
    operator: Any = None

    def call(self, *values: Any) -> list[Tensor]:
        """Return the outputs that have a gradient, with the global random generators at the same place each time."""
        torch.default_generator.manual_seed(0)
        random.seed(0)
        numpy.random.seed(0)
        copied = self.dirty | self.spoilt
        given = [value.clone() if index in copied else value for index, value in enumerate(values)]
        outputs = tensors_in(self.function(*given))
        return outputs if self.differentiable is None else [outputs[index] for index in self.differentiable]


@contextmanager
def generators_put_back() -> Iterator[None]:
    """Leave the global random generators as they were."""
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        numpy.random.set_state(states[2])


def target_of(what: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> Target:
    """Return the target for a function, a Function of torch.autograd, a module or an operator.

    Raises:
        UserError: when it is nothing of that kind.
    """
    if isinstance(what, type) and issubclass(what, torch.autograd.Function):
        what = what.apply
    if isinstance(what, torch.nn.Module):
        return _of_module(what, inputs, named)
    if not callable(what):
        raise UserError(
            f"what is checked is a function, a torch.autograd.Function, a torch.nn.Module or an operator of "
            f"torch.library, not a {type(what).__name__}"
        )
    operator = _operator(what)
    name, writing = _written(what, operator)
    return Target(
        name=name,
        kind="operator" if operator is not None else "function",
        function=with_keywords(what, tuple(named)) if named else what,
        arguments=_arguments(_signed(what), inputs, named),
        writing=_keywords(writing, named),
        operator=operator,
    )


def target_of_pair(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: Sequence[Any],
    arrays: bool,
) -> Target:
    """Return the target for ``forward`` and ``backward``, or for a forward alone that returns its pullback."""
    names = _names(forward, "forward", len(inputs))
    objects: dict[str, object] = {"forward": forward}
    first = as_arrays(forward) if arrays else forward
    expression = "as_arrays(forward)" if arrays else "forward"
    objects |= {"as_arrays": as_arrays} if arrays else {}
    arguments = tuple(Argument(name, value) for name, value in zip(names, inputs, strict=True))
    if backward is None:
        writing = Writing(f"pulled({expression})", objects | {"pulled": pulled})
        return Target(_name_of(forward), "pair", pulled(first), arguments, writing)
    takes_inputs = _takes_more_than_gradients(backward, len(inputs))
    last, second = (as_arrays(backward), "as_arrays(backward)") if arrays else (backward, "backward")
    writing = Writing(
        f"paired({expression}, {second}, {takes_inputs})", objects | {"backward": backward, "paired": paired}
    )
    function = paired(first, last, takes_inputs)
    return Target(_name_of(forward), "pair", function, arguments, writing, remembers=not takes_inputs)


def _of_module(module: torch.nn.Module, inputs: Sequence[Any], named: Mapping[str, Any]) -> Target:
    if named:
        raise UserError("the inputs of a module are given in order; wrap it into a function for named ones")
    parameters = dict(module.named_parameters())
    arguments = _arguments(module.forward, inputs, {})
    arguments += tuple(Argument(name, value, parameter=True) for name, value in parameters.items())
    names = tuple(parameters)
    writing = Writing(f"parametrized(module, {names!r})", {"module": module, "parametrized": parametrized})
    name = type(module).__name__
    return Target(name, "module", parametrized(module, names), arguments, writing)


def _operator(what: Any) -> Any:
    """Return the overload that opcheck takes, or None where it is no operator."""
    what = getattr(what, "_opoverload", what)
    if isinstance(what, torch._ops.OpOverloadPacket):
        what = what.default
    return what if isinstance(what, torch._ops.OpOverload) else None


def _written(what: Any, operator: Any) -> tuple[str, Writing]:
    if operator is not None:
        name = operator.name().replace("::", ".").removesuffix(".default")
        defined = getattr(what, "_init_fn", None)  # by torch.library.custom_op
        return name, Writing(f"torch.ops.{name}", {defined.__name__: what} if defined else {"torch": torch})
    owner = getattr(what, "__self__", None)
    if isinstance(owner, type):  # a class method, such as apply
        return owner.__name__, Writing(f"{owner.__name__}.{what.__name__}", {owner.__name__: owner})
    name = _name_of(what)
    return name, Writing(name, {name: what}) if name.isidentifier() else Writing("function", {"function": what})


def _keywords(writing: Writing, named: Mapping[str, Any]) -> Writing:
    if not named:
        return writing
    expression = f"with_keywords({writing.expression}, {tuple(named)!r})"
    return Writing(expression, {**writing.objects, "with_keywords": with_keywords})


def _name_of(what: Any) -> str:
    return str(getattr(what, "__name__", type(what).__name__))


def _signed(what: Any) -> Callable[..., Any]:
    """Return the function that has the names of the arguments: forward, of a Function."""
    owner = getattr(what, "__self__", None)
    if not (isinstance(owner, type) and issubclass(owner, torch.autograd.Function)):
        return what  # type: ignore[no-any-return]  # it was found to be callable
    if owner.setup_context is torch.autograd.Function.setup_context:
        return _WithoutFirst(owner.forward)  # which is the context
    forward: Callable[..., Any] = owner.forward
    return forward


class _WithoutFirst:
    """A function without its first argument, for ``inspect.signature``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(self, *values: Any) -> None:
        """Never called; it makes this a function in the eyes of inspect."""


def _arguments(function: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> tuple[Argument, ...]:
    names = _names(function, "input", len(inputs))
    arguments = [Argument(name, value) for name, value in zip(names, inputs, strict=True)]
    arguments += [Argument(name, value) for name, value in named.items()]
    if not any(isinstance(argument.example, Tensor | Drawn) for argument in arguments):
        raise UserError("no input is a tensor: give example tensors, or drawn(...) for such as are to be drawn")
    for argument in arguments:
        if isinstance(argument.example, Tensor) and argument.example.is_complex():
            raise UserError(f'the input "{argument.name}" is complex; only real numbers can be checked')
    return tuple(arguments)


def _names(function: Any, fallback: str, count: int) -> list[str]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*plain[:count], *(f"{fallback} {index}" for index in range(len(plain), count))]


def _takes_more_than_gradients(backward: Callable[..., Any], count: int) -> bool:
    """Return whether a backward has room for the inputs after at least one gradient."""
    try:
        inspect.signature(backward).bind(*range(count + 1))
    except TypeError:
        return False
    except ValueError:
        return True
    return True
