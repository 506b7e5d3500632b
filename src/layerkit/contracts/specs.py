"""What a registered component is: a name, its fields with their ranges, and how to build it.

A component is declared by a *Spec*, a frozen and strict pydantic model whose ``type`` is the component's name. There
are five kinds: layers, losses, optimizers, noises and schedules. A spec is data; ``build`` is the only way from it to
code, and that code is the installed package's own.

A spec that holds other components annotates the field with :data:`AnyLayer`, :data:`AnyLoss`, :data:`AnyOptimizer`,
:data:`AnyNoise` or :data:`AnySchedule`. Which names these admit is decided by the catalogue that validation is given,
not when the class is written, so that every plugin's components can stand in every other plugin's containers.
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
"""The names of the kinds of component; :mod:`layerkit.contracts.kinds` has the rest of what is known of each."""

Shape = tuple[int, ...]
"""The shape of one sample, without the batch: (channels, height, width), or (features,) after ``flatten``."""


class StrictModel(BaseModel):
    """A model that takes only what it declares: no conversions, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    def __repr__(self) -> str:
        return short(self)

    def __str__(self) -> str:
        return short(self)


class Spec(StrictModel):
    """Base of all specs; a component's spec derives from one of the five kinds below.

    A subclass must have ``type: Literal["its_name"]``, without a default, and a description on every field. Its
    docstring gives the formula: it is what people read in the reference and in their editor.

    Attributes:
        kind: the name of its kind, which the base of each kind sets.
        example: the fields of a typical use beside ``type``, for the reference and for editors.
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
    """A layer as it stands in a network's ``layers``.

    A subclass writes ``build`` plainly; here it is wrapped. The module that it returns knows its spec and its input's
    shape as ``declared_by`` and ``declared_for``, and what it raises becomes a :class:`~layerkit.errors.PluginError`
    that names the class.
    """

    kind: ClassVar[KindName] = "layer"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            setattr(cls, "build", _declaring(cls.build))  # noqa: B010 - mypy lets nobody assign to a method

    # Declarations: what the conformance kit must know; it tests each of them too.
    stochastic: ClassVar[bool] = False
    """Draws random numbers in training mode."""
    kinked: ClassVar[bool] = False
    """Has points without a derivative, as ReLU at 0."""
    mixes_batch: ClassVar[bool] = False
    """One sample's output depends on the others, as in batch normalization."""
    modal: ClassVar[bool] = False
    """Training and evaluation mode give different outputs."""
    surrogate: ClassVar[str] = ""
    """Why backward is not the derivative of forward, on purpose, in a sentence: as for rounding, that of the identity.

    The module then has :meth:`~layerkit.contracts.module.Module.surrogate`, of which it is the derivative.
    """
    sample_shapes: ClassVar[tuple[Shape, ...]] = ()
    """Shapes to test with, for a layer that takes only few; by default the kit looks for some itself."""

    def kinks(self) -> dict[float, float]:
        """Return the slope that backward uses at each point without a derivative, for a layer that acts by element."""
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
            input_shape: the shape of one sample of its input.
            generator: draws every random number that the layer needs, now and later.
        """

    def parameter_count(self, input_shape: Shape) -> int:
        """Return how many numbers the layer learns; by default the sum over the layers inside it."""
        return sum(inner.layer.parameter_count(inner.input_shape) for inner in self.inner(input_shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the multiplications in a forward pass of one sample, as the plain formula does them."""
        return sum(inner.layer.multiply_adds(inner.input_shape) for inner in self.inner(input_shape))

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        """Return the layers inside a container, in order, with the shape of each one's input; none for other layers."""
        return ()


_Build = Callable[[Any, Shape, torch.Generator], Module]


def _declaring(build: _Build) -> _Build:
    """Return a ``build`` whose module knows the spec that it must agree with, and whose failures name the spec."""

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
    """A layer inside a container: its JSON path from the container, its spec, and the shape of its input."""

    path: tuple[str | int, ...]
    layer: LayerSpec
    input_shape: Shape


class LossSpec(Spec):
    """A loss as it stands in ``training.loss``."""

    kind: ClassVar[KindName] = "loss"
    kinked: ClassVar[bool] = False
    """Has points without a derivative, as the absolute difference at 0."""
    domain: ClassVar[tuple[float, float] | None] = None
    """The range that predictions and targets must lie in, where not every number is allowed."""
    elementwise: ClassVar[bool] = True
    """Is the mean over all values of a function of one prediction and its target; the loss ``masked`` needs this."""
    takes_masked: ClassVar[bool] = False
    """Leaves out the values whose target is NaN, that is, unknown."""
    compares_samples: ClassVar[str] = ""
    """Why the loss of a batch is not the mean of its samples' losses, in a sentence; see ``Loss.compares_samples``."""

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.nn`` loss that computes the same, or None."""
        return None

    @abstractmethod
    def build(self) -> Loss:
        """Return the loss."""


class OptimizerSpec(Spec):
    """An optimizer as it stands in ``training.optimizer``."""

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
        """Return the optimizer of these (parameter, gradient) pairs, which ``Module.param`` returns."""


class NoiseSpec(Spec):
    """A noise as it stands in ``training.noise``."""

    kind: ClassVar[KindName] = "noise"
    unbiased: ClassVar[bool] = True
    """The mean of many targets, over what is known in them, is the clean picture, which a squared error needs."""
    masks_targets: ClassVar[bool] = False
    """Marks what is unknown in a target with NaN, which the loss must accept."""

    @abstractmethod
    def build(self) -> Noise:
        """Return the noise."""


class ScheduleSpec(Spec):
    """A schedule of the learning rate as it stands in ``training.schedule``."""

    kind: ClassVar[KindName] = "schedule"

    def ends(self) -> tuple[float, float] | None:
        """Return the factors at the beginning and at the end of a training, or None where they depend on more."""
        return None

    def jumps(self) -> tuple[float, ...]:
        """Return the progress, above 0, of each jump from one factor to another; elsewhere the factor is continuous."""
        return ()

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.optim.lr_scheduler`` class that does the same, or None.

        Args:
            steps: the number of steps of the training, which torch's schedulers count; the learning rate itself is 1.
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
    """Return the layers of a sequence, each with the shape of its input, and the shape of the last one's output.

    Raises:
        ShapeError: with the path ``field[i]`` of the layer that cannot take what comes before it.
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
    """Return the error for a layer whose code for shapes and costs fails; no change of the spec can mend that."""
    return ShapeError(
        f"{type(layer).__name__} failed to compute its shape or costs ({type(error).__name__}: {error}); "
        "this is a mistake in its package, please report it there"
    )
