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
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from layerkit.errors import LayerkitError, PluginError, ShapeError

if TYPE_CHECKING:
    import torch

    from layerkit.contracts.loss import Loss
    from layerkit.contracts.module import Module
    from layerkit.contracts.noise import Noise
    from layerkit.contracts.optimizer import Optimizer
    from layerkit.contracts.schedule import Schedule


KindName = Literal["layer", "loss", "optimizer", "noise", "schedule"]
"""The names of the kinds of component; :mod:`layerkit.contracts.kinds` has the rest of what is known of each."""

Shape = tuple[int, ...]
"""The shape of one sample, without the batch: (channels, height, width), or (features,) after ``flatten``."""


class StrictModel(BaseModel):
    """A model that takes only what it declares: no conversions, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Spec(StrictModel):
    """Base of all specs; a component's spec derives from one of the five kinds below.

    A subclass must have ``type: Literal["its_name"]``, without a default, and a description on every field. Its
    docstring gives the formula: it is what people read in the reference and in their editor.
    """

    kind: ClassVar[KindName]
    example: ClassVar[dict[str, Any]] = {}
    """The fields of a typical use, for the reference and for editors, beside ``type``."""

    @classmethod
    def name(cls) -> str:
        """Return the component's name, the only value that ``type`` may have."""
        (name,) = cls.model_fields["type"].annotation.__args__
        return name


class LayerSpec(Spec):
    """A layer as it stands in a network's ``layers``."""

    kind: ClassVar[KindName] = "layer"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _declaring(cls.__dict__["build"])

    # Declarations: what the conformance kit must know, each of which it tests in its turn.
    stochastic: ClassVar[bool] = False
    """Draws random numbers in training mode."""
    kinked: ClassVar[bool] = False
    """Has points without a derivative, as ReLU at 0."""
    mixes_batch: ClassVar[bool] = False
    """One sample's output depends on the others, as in batch normalization."""
    modal: ClassVar[bool] = False
    """Training and evaluation mode give different outputs."""
    sample_shapes: ClassVar[tuple[Shape, ...]] = ()
    """Shapes to test with, for a layer that takes only few; by default the kit looks for some itself."""

    def kinks(self) -> dict[float, float]:
        """Return the slope that backward uses at each point without a derivative, for a layer that acts by element."""
        return {}

    def reference(self, input_shape: Shape) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.nn`` module that computes the same, if there is one.

        The conformance kit compares with it; parameters correspond by name.
        """
        return None

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of one output sample.

        Raises:
            ShapeError: when the layer cannot take ``input_shape``; the message says what would fit.
        """

    @abstractmethod
    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        """Return the layer for inputs of ``input_shape``; all randomness comes from ``generator``."""

    def parameter_count(self, input_shape: Shape) -> int:
        """Return how many numbers the layer learns; by default, those of the layers inside it."""
        return sum(inner.layer.parameter_count(inner.input_shape) for inner in self.inner(input_shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        """Return the multiplications of one forward pass of one sample, as the plain formula would do it."""
        return sum(inner.layer.multiply_adds(inner.input_shape) for inner in self.inner(input_shape))

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        """Return the layers inside a container, in order, with what comes into each; none for a simple layer."""
        return ()


def _declaring(build: Callable[..., Module]) -> Callable[..., Module]:
    """Return ``build`` such that the module it makes knows the spec that it has to keep to."""

    @wraps(build)
    def declaring(self: LayerSpec, input_shape: Shape, generator: torch.Generator) -> Module:
        from layerkit.contracts.module import Module  # here, for it loads torch

        try:
            module = build(self, input_shape, generator)
        except (LayerkitError, MemoryError):
            raise
        except Exception as error:
            raise PluginError(
                f"{type(self).__name__}.build failed ({type(error).__name__}: {error}); "
                "this is a mistake in its package, please report it there"
            ) from error
        if not isinstance(module, Module):
            raise PluginError(f"{type(self).__name__}.build must return a layerkit.Module, not {type(module).__name__}")
        module.declared_by = self
        return module

    return declaring


class Inner(NamedTuple):
    """A layer inside a container: its JSON path from there, its spec, and the shape of its input."""

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
    """Is the mean, over all values, of a function of one prediction and its target, which ``masked`` needs."""
    takes_masked: ClassVar[bool] = False
    """Lets targets that are NaN, and so unknown, not count."""

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.nn`` loss that computes the same, if there is one."""
        return None

    @abstractmethod
    def build(self) -> Loss:
        """Return the loss."""


class OptimizerSpec(Spec):
    """An optimizer as it stands in ``training.optimizer``."""

    kind: ClassVar[KindName] = "optimizer"

    def reference(self) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the ``torch.optim`` optimizer that does the same, if there is one."""
        return None

    @abstractmethod
    def build(self, parameters: list[tuple[torch.Tensor, torch.Tensor]]) -> Optimizer:
        """Return the optimizer of these (parameter, gradient) pairs, as ``Module.param`` gives them."""


class NoiseSpec(Spec):
    """A noise as it stands in ``training.noise``."""

    kind: ClassVar[KindName] = "noise"
    unbiased: ClassVar[bool] = True
    """The mean of many targets, of what is known in them, is the clean picture: what a squared error needs."""
    masks_targets: ClassVar[bool] = False
    """Marks what is unknown in a target with NaN, which the loss must take."""

    @abstractmethod
    def build(self) -> Noise:
        """Return the noise."""


class ScheduleSpec(Spec):
    """A schedule of the learning rate as it stands in ``training.schedule``."""

    kind: ClassVar[KindName] = "schedule"

    def ends(self) -> tuple[float, float] | None:
        """Return the factors at the beginning and at the end of a training, where they are known beforehand."""
        return None

    def reference(self, steps: int) -> tuple[str, dict[str, Any]] | None:
        """Return the name and arguments of the scheduler in ``torch.optim.lr_scheduler`` that does the same, if any.

        Args:
            steps: of the training; torch's schedulers count them. The optimizer's own learning rate is 1.
        """
        return None

    @abstractmethod
    def build(self) -> Schedule:
        """Return the schedule."""


def chain(layers: tuple[LayerSpec, ...], input_shape: Shape, field: str = "layers") -> tuple[tuple[Inner, ...], Shape]:
    """Return ``layers`` that follow one another, each with what comes into it, and the shape of the last one's output.

    Raises:
        ShapeError: with the path ``field[i]`` of the layer that cannot take what comes before it.
    """
    inner, shape = [], input_shape
    for index, layer in enumerate(layers):
        inner.append(Inner((field, index), layer, shape))
        try:
            shape = layer.output_shape(shape)
        except ShapeError as error:
            raise error.inside(field, index) from None
        except Exception as error:
            raise broken(layer, error).inside(field, index) from error
    return tuple(inner), shape


def broken(layer: LayerSpec, error: Exception) -> ShapeError:
    """Return the error of a layer whose own arithmetic of shapes and costs fails, which no spec can mend."""
    return ShapeError(
        f"{type(layer).__name__} failed to compute its shape or costs ({type(error).__name__}: {error}); "
        "this is a mistake in its package, please report it there"
    )
