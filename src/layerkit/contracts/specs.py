"""What a registered component is: a name, fields with their ranges, and a method that builds it.

A component is declared by a *Spec*, a frozen and strict pydantic model whose ``type`` is the component's name. There
are five kinds: layers, losses, optimizers, noises and schedules. A spec is data; the only code that it can run is its
``build``, which belongs to the installed package.

A spec that holds other components annotates the field with :data:`AnyLayer`, :data:`AnyLoss`, :data:`AnyOptimizer`,
:data:`AnyNoise` or :data:`AnySchedule`. The names that these accept depend on the catalogue that is used for
validation, so that the containers of one plugin can hold the components of every other.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
from pydantic import BaseModel, ConfigDict

from layerkit.contracts.built import FROM_SPEC
from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.noise import Noise
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.printing import short
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.twin import Twin
from layerkit.errors import LayerkitError, PluginError, ShapeError

KindName = Literal["layer", "loss", "optimizer", "noise", "schedule"]
"""The names of the kinds of component; :mod:`layerkit.contracts.kinds` has a row for each."""

Shape = tuple[int, ...]
"""The shape of one sample, without the batch: (channels, height, width), or (features,) after ``flatten``."""


class StrictModel(BaseModel):
    """A model that accepts only what it declares: no conversions, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def __repr__(self) -> str:
        return short(self)

    def __str__(self) -> str:
        return short(self)


class Spec(StrictModel):
    """The base class of all specs; a component's spec derives from one of the five kinds below.

    A subclass must have ``type: Literal["its_name"]``, without a default, and a description on every field. Its
    docstring gives the formula, and is shown in the reference and in editors.

    Attributes:
        kind: the name of its kind, which the base class of each kind sets.
        example: the fields of a typical use, without ``type``, for the reference and for editors.
        type: the name of the component.
    """

    kind: ClassVar[KindName]
    example: ClassVar[dict[str, Any]] = {}

    type: str

    @classmethod
    def name(cls) -> str:
        """Return the component's name, the only value that ``type`` may have."""
        (name,) = get_args(cls.model_fields["type"].annotation)
        return str(name)


class LayerSpec(Spec):
    """A layer as it is written in a network's ``layers``.

    The ``build`` of a subclass is wrapped: the module that it returns gets its spec and the shape of its input as
    ``declared_by`` and ``declared_for``, and an exception becomes a :class:`~layerkit.errors.PluginError` that names
    the class.
    """

    kind: ClassVar[KindName] = "layer"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            setattr(cls, "build", _declaring(cls.build))  # noqa: B010 - mypy refuses to assign to a method

    # Declarations for the conformance kit, which also tests that they are true.
    stochastic: ClassVar[bool] = False
    """Whether it draws random numbers in training mode."""
    kinked: ClassVar[bool] = False
    """Whether it has points without a derivative, as ReLU has at 0."""
    mixes_batch: ClassVar[bool] = False
    """Whether a sample's output depends on the other samples of its batch, as in batch normalization."""
    modal: ClassVar[bool] = False
    """Whether training mode and evaluation mode give different outputs."""
    surrogate: ClassVar[str] = ""
    """Why backward is, on purpose, not the derivative of forward, in a sentence: that of rounding, for example, is the
    derivative of the identity.

    The module then has :meth:`~layerkit.contracts.module.Module.surrogate`, whose derivative backward is.
    """
    sample_shapes: ClassVar[tuple[Shape, ...]] = ()
    """Shapes to test with, for a layer that accepts only a few; by default the kit finds some itself."""

    def kinks(self) -> dict[float, float]:
        """Return the slope that backward uses at each point without a derivative, for an element-wise layer."""
        return {}

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.nn`` module that computes the same, or None.

        The conformance kit compares the two; their parameters have the same names.
        """
        return None

    def twin(self, input_shape: Shape) -> Twin | None:
        """Return what an export writes for the layer, or None where ``torch.nn`` cannot compute the same.

        By default it is the module that :meth:`reference` names. A container, or a layer that takes several modules
        there, returns them one inside the other.
        """
        reference = self.reference(input_shape)
        return None if reference is None else Twin(*reference)

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one output sample.

        Raises:
            ShapeError: when the layer cannot take ``input_shape``; the message says what would fit.
        """

    @abstractmethod
    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        """Return the layer.

        Args:
            input_shape: the shape of one input sample.
            generator: the source of every random number that the layer needs, now and later.
        """

    def parameter_count(self, input_shape: Shape) -> int:
        """Return the number of learned parameters; by default the sum over the layers inside it."""
        return sum(inner.layer.parameter_count(inner.input_shape) for inner in self.inner(input_shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the number of multiplications in a forward pass of one sample, by the plain formula."""
        return sum(inner.layer.multiply_adds(inner.input_shape) for inner in self.inner(input_shape))

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        """Return the layers inside a container, in order, each with its input shape; none for other layers."""
        return ()


_Build = Callable[[Any, Shape, torch.Generator], Module]


def _declaring(build: _Build) -> _Build:
    """Return a ``build`` whose module knows its spec, and whose errors name the spec."""

    @wraps(build)
    def declaring(self: LayerSpec, input_shape: Shape, generator: torch.Generator) -> Module:
        token = FROM_SPEC.set(True)
        try:
            module = build(self, input_shape, generator)
        except (LayerkitError, MemoryError):
            raise
        except Exception as error:
            raise PluginError(
                f"{type(self).__name__}.build failed ({type(error).__name__}: {error}); "
                "this is a mistake in its package, please report it there"
            ) from error
        finally:
            FROM_SPEC.reset(token)
        if not isinstance(module, Module):
            raise PluginError(f"{type(self).__name__}.build must return a layerkit.Module, not {type(module).__name__}")
        module.declared_by, module.declared_for = self, input_shape
        return module

    return declaring


class Inner(NamedTuple):
    """A layer inside a container: its JSON path from the container, its spec, and the shape of one input sample."""

    path: tuple[str | int, ...]
    layer: LayerSpec
    input_shape: Shape


class LossSpec(Spec):
    """A loss as it is written in ``training.loss``."""

    kind: ClassVar[KindName] = "loss"
    kinked: ClassVar[bool] = False
    """Whether it has points without a derivative, as the absolute difference has at 0."""
    domain: ClassVar[tuple[float, float] | None] = None
    """The range of predictions and targets, or None where every number is allowed."""
    elementwise: ClassVar[bool] = True
    """Whether it is the mean, over all values, of a function of one prediction and its target, as ``masked`` needs."""
    takes_masked: ClassVar[bool] = False
    """Whether it leaves out the values whose target is NaN, that is, unknown."""
    compares_samples: ClassVar[str] = ""
    """Why the loss of a mini-batch is not the mean of its samples' losses, in a sentence; see
    ``Loss.compares_samples``."""

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.nn`` loss that computes the same, or None."""
        return None

    @abstractmethod
    def build(self) -> Loss:
        """Return the loss."""


class OptimizerSpec(Spec):
    """An optimizer as it is written in ``training.optimizer``."""

    kind: ClassVar[KindName] = "optimizer"
    couples_parameters: ClassVar[str] = ""
    """Why a parameter's step depends on the gradients of others, in a sentence: as where the norm of all is clipped."""
    random_steps: ClassVar[str] = ""
    """Why steps draw random numbers, in a sentence; they come from the optimizer's ``generator``."""

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.optim`` optimizer that does the same, or None."""
        return None

    @abstractmethod
    def build(self, parameters: list[tuple[torch.Tensor, torch.Tensor]]) -> Optimizer:
        """Return the optimizer of the (parameter, gradient) pairs that ``Module.param`` returned."""


class NoiseSpec(Spec):
    """A noise as it is written in ``training.noise``."""

    kind: ClassVar[KindName] = "noise"
    unbiased: ClassVar[bool] = True
    """Whether the mean of the known values of many targets is the clean picture, as a squared error needs."""
    masks_targets: ClassVar[bool] = False
    """Whether unknown values of a target are NaN, which the loss must accept."""

    @abstractmethod
    def build(self) -> Noise:
        """Return the noise."""


class ScheduleSpec(Spec):
    """A schedule of the learning rate as it is written in ``training.schedule``."""

    kind: ClassVar[KindName] = "schedule"

    def ends(self) -> tuple[float, float] | None:
        """Return the factors at the beginning and at the end of the training, or None where they are not fixed."""
        return None

    def jumps(self) -> tuple[float, ...]:
        """Return the progress, above 0, of each jump from one factor to another; elsewhere the factor is continuous."""
        return ()

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.optim.lr_scheduler`` class that does the same, or None.

        Args:
            steps: the number of steps of the training, in which torch's schedulers count; the base learning rate is 1.
        """
        return None

    @abstractmethod
    def build(self) -> Schedule:
        """Return the schedule."""


def twin_around(name: str, inner: tuple[Inner, ...]) -> Twin | None:
    """Return the twin of a container, or None where a layer inside has none; for the name see :class:`Twin`."""
    twins = [each.layer.twin(each.input_shape) for each in inner]
    present = tuple(twin for twin in twins if twin is not None)
    return Twin(name, inside=present) if len(present) == len(twins) else None


def chain(layers: tuple[LayerSpec, ...], input_shape: Shape, field: str = "layers") -> tuple[tuple[Inner, ...], Shape]:
    """Return the layers of a sequence, each with its input shape, and the output shape of the last one.

    Raises:
        ShapeError: with the path ``field[i]`` of the first layer that cannot take the output of the layer before it.
    """
    known, key = _CHAINS.get(), (id(layers), tuple(input_shape), field)
    if known is not None and key in known:
        return known[key][1]
    inner, shape = [], input_shape
    for index, layer in enumerate(layers):
        inner.append(Inner((field, index), layer, shape))
        try:
            shape = layer.output_shape(shape)
        except ShapeError as error:
            raise error.inside(field, index) from None
        except Exception as error:
            raise broken(layer, error).inside(field, index) from error
    result = tuple(inner), shape
    if known is not None:
        known[key] = layers, result  # with the layers, so that no others get their identity meanwhile
    return result


_Chain = tuple[tuple[Inner, ...], Shape]
_CHAINS: ContextVar[dict[tuple[int, Shape, str], tuple[tuple[LayerSpec, ...], _Chain]] | None] = ContextVar(
    "chains", default=None
)


@contextmanager
def chains_kept() -> Iterator[None]:
    """Follow each chain of layers once inside ``with``, and not once more for every container around it."""
    token = _CHAINS.set({})
    try:
        yield
    finally:
        _CHAINS.reset(token)


def broken(layer: LayerSpec, error: Exception) -> ShapeError:
    """Return the error for a layer whose code for shapes and costs fails, which no change of the spec can correct."""
    return ShapeError(
        f"{type(layer).__name__} failed to compute its shape or costs ({type(error).__name__}: {error}); "
        "this is a mistake in its package, please report it there"
    )
