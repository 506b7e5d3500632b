"""Constructors that accept the same values in Python as their specs accept in JSON.

The ranges are written in the spec only. An argument with the name of one of the spec's fields is checked against that
field, every other argument against its annotation.
"""

from __future__ import annotations

import inspect
import sys
import types
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache, partial, wraps
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar, Unpack, cast, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from torch import Tensor

from layerkit.contracts.phrases import phrase
from layerkit.contracts.printing import short
from layerkit.errors import ArgumentError

FROM_SPEC: ContextVar[bool] = ContextVar("from_spec", default=False)
"""Whether a spec is building something in this thread: its fields have been checked already, so arguments are not."""

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Built(ABC):  # noqa: B024 - the abstract methods are in the contracts of the five kinds
    """The base class of everything that a spec builds: a layer, a loss, an optimizer, a noise or a schedule.

    The constructor of every subclass is wrapped by :func:`held`, so that it refuses the arguments that the spec would
    refuse. The spec is the class in the same module whose ``build`` is annotated to return the subclass.

    Attributes:
        in_tree: whether it is printed on a line of its own, and not as an argument of the object that holds it.
    """

    in_tree: ClassVar[bool] = False
    _given: tuple[tuple[Any, ...], Mapping[str, Any]] = ((), MappingProxyType({}))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            setattr(cls, "__init__", held(cls.__init__))  # noqa: B010 - mypy refuses a plain assignment

    def arguments(self) -> str:
        """Return the arguments of the constructor as Python source, without those at their defaults.

        Tensors, dtypes, devices, generators and the modules inside a module are left out.
        """
        parts = []
        spec = spec_of(type(self))
        usual = {name: field.default for name, field in spec.model_fields.items()} if spec else {}
        for name, given, unnamed in _written(type(self).__init__, *self._given, usual):
            current = vars(self).get(name)
            if given is _NO_DATA:
                if not isinstance(current, Built) or current.in_tree:
                    continue
                given = current
            elif type(current) is type(given):  # it may have changed, as a learning rate does
                given = current
            parts.append(short(given) if unnamed else f"{name}={short(given)}")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.arguments()})"


Construct = TypeVar("Construct", bound=Callable[..., None])


def held(construct: Construct) -> Construct:
    """Return a constructor that checks its arguments against the spec and the annotations.

    The returned constructor raises an ArgumentError when an argument does not fit.
    """
    signature = inspect.signature(construct)
    parameters = list(signature.parameters.items())[1:]

    @wraps(construct)
    def guarded(self: Any, *positional: Any, **named: Any) -> None:
        if isinstance(self, Built) and "_given" not in self.__dict__:  # not in the constructors called by super()
            self.__dict__["_given"] = tuple(map(_data, positional)), {key: _data(item) for key, item in named.items()}
        if FROM_SPEC.get():
            construct(self, *positional, **named)
            return
        try:
            bound = signature.bind(self, *positional, **named)
        except TypeError:
            construct(self, *positional, **named)  # its own error says what is missing or unknown
            raise
        own: type = type(self)
        # A class that inherits its constructor may have its own spec, which takes precedence over the base class's.
        defining = next((base for base in own.__mro__ if vars(base).get("__init__") is guarded), own)
        checks = _checks(spec_of(own) or spec_of(defining), construct)
        for name, parameter in parameters:
            if name not in bound.arguments:
                continue
            value = bound.arguments[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(_checked(own, name, item, checks, several=True) for item in value)
            elif parameter.kind is parameter.VAR_KEYWORD:
                bound.arguments[name] = {key: _checked(own, key, item, checks) for key, item in value.items()}
            else:
                bound.arguments[name] = _checked(own, name, value, checks)
        construct(*bound.args, **bound.kwargs)

    return cast(Construct, guarded)


_NO_DATA = ...
"""Stands for an argument that is not plain data and is read from the attributes; copies of it are the same object."""
_UNNAMED = 2
"""How many required arguments are printed without their names, as in ``Conv2d(3, 44, kernel_size=2)``."""


def _data(value: Any) -> Any:
    """Return an argument if it is plain data, and ``_NO_DATA`` if it is an object that could be large or change."""
    return value if _is_data(value) else _NO_DATA


def _is_data(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, bool | int | float | str)


def _written(
    construct: Callable[..., None], positional: tuple[Any, ...], named: Mapping[str, Any], usual: Mapping[str, Any]
) -> Iterator[tuple[str, Any, bool]]:
    """Yield the arguments that are not at their defaults: name, value, and whether it is written without its name.

    Args:
        construct: the constructor.
        positional, named: the arguments that it was called with.
        usual: the defaults of the spec's fields, for arguments that the constructor takes as ``**named``.
    """
    try:
        bound = inspect.signature(construct).bind(None, *positional, **named)
    except TypeError:  # the constructor failed, or was never called
        return
    leading = True
    for index, (name, parameter) in enumerate(bound.signature.parameters.items()):
        if index == 0 or name not in bound.arguments:
            continue
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield from (("", item, True) for item in value if item is not _NO_DATA)
        elif parameter.kind is parameter.VAR_KEYWORD:
            told = (key for key, item in value.items() if key != "device" and item != usual.get(key, _NO_DATA))
            yield from ((key, value[key], False) for key in told)
        elif name != "device" and (type(value) is not type(parameter.default) or value != parameter.default):
            required = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            leading = leading and required and value is not _NO_DATA and index <= _UNNAMED
            yield name, value, leading


@cache
def spec_of(cls: type) -> type[BaseModel] | None:
    """Return the spec in the module of ``cls`` whose ``build`` is annotated to return it, or None."""
    value: Any
    for value in list(vars(sys.modules.get(cls.__module__, types)).values()):
        build = vars(value).get("build") if isinstance(value, type) and issubclass(value, BaseModel) else None
        if build is not None and build.__annotations__.get("return") in (cls, cls.__name__):
            spec: type[BaseModel] = value
            return spec
    return None


class _Check(NamedTuple):
    """What an argument must be, in words, and the function that returns it or raises a ValidationError."""

    phrase: str
    validated: Callable[[Any], Any]


@cache
def _checks(spec: type[BaseModel] | None, construct: Callable[..., None]) -> dict[str, _Check]:
    """Return a check for each argument that has a field in the spec or an annotation."""
    checks = {}
    for name, annotation in _annotations(construct):
        field = spec.model_fields.get(name) if spec else None
        if spec and field and not _holds_components(field.annotation):
            checks[name] = _Check(phrase(field.annotation, tuple(field.metadata)), partial(_for_field, spec, name))
            continue
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_STRICT)
        except PydanticUserError:  # a type that pydantic does not know
            continue
        checks[name] = _Check(phrase(annotation), partial(_for_annotation, adapter))
    return checks


def _annotations(construct: Callable[..., None]) -> Iterator[tuple[str, Any]]:
    """Yield the names and types of all arguments, including those in the typed dictionary of ``**named``."""
    for name, annotation in construct.__annotations__.items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hint = get_type_hints(holder, construct.__globals__, include_extras=True)[name]
        except NameError:  # a name that is imported only for type checkers
            continue
        if get_origin(hint) is Unpack:
            yield from get_type_hints(get_args(hint)[0], include_extras=True).items()
        elif name != "return":
            yield name, hint


def _holds_components(annotation: Any) -> bool:
    """Return whether a field holds specs; the argument of the same name holds the objects that they build."""
    inside = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return inside or any(map(_holds_components, get_args(annotation)))


def _for_field(spec: type[BaseModel], name: str, value: Any) -> Any:
    """Return ``value`` as the spec has it, with a tuple in place of a list."""
    value = tuple(value) if isinstance(value, list) else value
    key = spec.model_fields[name].alias or name
    try:
        spec.model_validate({key: value})
    except ValidationError as error:
        # The other fields are missing.
        if any(detail["loc"][:1] == (key,) for detail in error.errors()):
            raise
    except Exception:
        # A plugin's validator that needs the other fields; its complaint is not about this one.
        return value
    return value


def _for_annotation(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Return ``value`` itself once it is checked, since pydantic may return a copy."""
    adapter.validate_python(value)
    return value


def _checked(cls: type, name: str, value: Any, checks: Mapping[str, _Check], several: bool = False) -> Any:
    """Return a checked argument, or one item of a ``*name`` argument, with numpy's numbers turned into Python's.

    Raises:
        ArgumentError: when the check fails.
    """
    if name not in checks:
        return value
    try:
        return checks[name].validated(_plain(value))
    except ValidationError as error:
        details = error.errors()
        # The spec's other fields are missing too.
        detail = next((detail for detail in details if detail["type"] != "missing"), details[0])
        message, told = detail["msg"], "url" not in detail  # pydantic's own errors have one
        expected = message.removeprefix("expected ") if told else checks[name].phrase
        got = "" if " got " in expected else f", got {_shown(value)}"
        remedy = f"; write {cls.__name__}(*{name})" if several and isinstance(value, list | tuple) else ""
        raise ArgumentError(f"{cls.__name__}: {name} must be {expected}{got}{remedy}") from None


def _plain(value: Any) -> Any:
    """Return a value with numpy's numbers turned into Python's, also inside a list or tuple."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple) and any(isinstance(item, np.generic) for item in value):
        return type(value)(map(_plain, value))
    return value


def _shown(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Built):
        return f"an object of the class {type(value).__name__}"
    if isinstance(value, np.ndarray | Tensor):
        return f"a {type(value).__module__}.{type(value).__name__}"
    return short(value)
