"""What a check is tried on: a configuration, shapes, and a seed from which every number follows.

A case is plain data and says all there is to say: written as a token and read again it runs the same, whatever drew it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import torch
from torch import Tensor

from layerkit.contracts.loss import Loss
from layerkit.contracts.module import Module
from layerkit.contracts.noise import Noise
from layerkit.contracts.optimizer import Optimizer
from layerkit.contracts.schedule import Schedule
from layerkit.contracts.specs import KindName, LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec, Shape, Spec
from layerkit.errors import UserError
from layerkit.testing.cases.subjects import Subject

SpecT = TypeVar("SpecT", bound=Spec, covariant=True)


@dataclass(frozen=True)
class Case(ABC, Generic[SpecT]):
    """What cases of all kinds of component share.

    Attributes:
        subject: the component under test.
        configuration: its fields, as a JSON object.
        seed: of every number that the case needs.
    """

    subject: Subject
    configuration: dict[str, Any]
    seed: int

    shapes: ClassVar[dict[str, str]] = {}
    """What shapes a case of this kind has: the names of the fields, and what they are called."""

    @cached_property
    def spec(self) -> SpecT:
        """The configuration, read: a spec of the subject's class."""
        return cast("SpecT", self.subject.read(self.configuration))  # a case is made for subjects of its own kind only

    @abstractmethod
    def builder(self) -> Callable[[], object]:
        """Return what builds the component; the spec is read, and what it is built from made, before it is called."""

    def generator(self, purpose: str) -> torch.Generator:
        """Return a generator of its own for each ``purpose``."""
        return torch.Generator().manual_seed(zlib.crc32(f"{self.seed}/{purpose}".encode()))

    def normal(self, purpose: str, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return standard normal numbers, the same for every dtype but for rounding."""
        return torch.randn(shape, generator=self.generator(purpose), dtype=torch.float64).to(dtype)

    def describe(self) -> dict[str, Any]:
        """Return the case as plain data for people."""
        shapes = {label: getattr(self, name) for name, label in self.shapes.items()}
        return {"configuration": json.dumps(self.configuration), **shapes, "seed": self.seed}

    def token(self) -> str:
        """Return the case as a word from which :meth:`from_token` makes it again."""
        data = [self.configuration, self.seed, *(getattr(self, name) for name in self.shapes)]
        text = json.dumps(data, separators=(",", ":"))
        return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")

    @classmethod
    def from_token(cls, subject: Subject, token: str) -> Self:
        """Return the case that a token stands for.

        Raises:
            UserError: when the token is none, or one of another kind of component.
        """
        try:
            text = zlib.decompress(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            configuration, seed, *shapes = json.loads(text)
            case = cls(subject, configuration, seed, *map(_tupled, shapes))
            case.spec  # noqa: B018 - reading it tells whether it is one of this component
        except (binascii.Error, zlib.error, ValueError, TypeError) as error:
            raise UserError(
                f"the token does not stand for a case of the {subject.kind} {subject.name}: {error}"
            ) from None
        return case


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class LayerCase(Case[LayerSpec]):
    """A layer with the shape of one sample and the number of samples."""

    input_shape: Shape
    batch: int

    shapes: ClassVar[dict[str, str]] = {"input_shape": "input shape", "batch": "batch size"}

    def declares(self, name: str) -> bool:
        """Return whether the layer, or any layer inside it, declares ``name``."""
        return _declares(self.spec, self.input_shape, name)

    def builder(self) -> Callable[[], Module]:
        """Return what builds the layer."""
        return partial(self.spec.build, self.input_shape, self.generator("parameters"))

    def fresh(self, dtype: torch.dtype = torch.float64, purpose: str = "parameters") -> Module:
        """Return the layer as it is built."""
        return self.spec.build(self.input_shape, self.generator(purpose)).to(dtype=dtype)

    def layer(self, dtype: torch.dtype = torch.float64, purpose: str = "parameters") -> Module:
        """Return the layer with its parameters moved off their initial values, where zeros and ones hide mistakes."""
        layer = self.fresh(dtype, purpose)
        for index, (parameter, _) in enumerate(layer.param()):
            shift = self.normal(f"shift {index}", *parameter.shape, dtype=dtype)
            parameter.add_(shift * (0.3 * parameter.abs() + 0.1))
        return layer

    def input(self, batch: int | None = None, dtype: torch.dtype = torch.float64, purpose: str = "input") -> Tensor:
        """Return a batch of inputs: standard normal, or well separated values where the layer declares kinks."""
        shape = (self.batch if batch is None else batch, *self.input_shape)
        if self.declares("kinked"):
            return separated(shape, self.generator(purpose)).to(dtype)
        return self.normal(purpose, *shape, dtype=dtype)

    def cotangent(self, output: Tensor, purpose: str = "cotangent") -> Tensor:
        """Return a random gradient for ``output``; never ones, with which many mistakes cannot be seen."""
        return self.normal(purpose, *output.shape, dtype=output.dtype)


def _declares(spec: LayerSpec, input_shape: Shape, name: str) -> bool:
    if getattr(spec, name):
        return True
    return any(_declares(inner.layer, inner.input_shape, name) for inner in spec.inner(input_shape))


def separated(shape: Shape, generator: torch.Generator) -> Tensor:
    """Return numbers from -2 to 2 in random order, no two of which are near each other, and none near zero."""
    count = math.prod(shape)
    steps = torch.randperm(count, generator=generator).to(torch.float64)
    # A little apart from a regular grid, on which sums and differences of few numbers would often be exactly zero.
    places = 0.6 + 0.2 * torch.rand(count, generator=generator, dtype=torch.float64)
    return (4 * (steps + places) / max(count, 1) - 2).reshape(shape)


@dataclass(frozen=True)
class LossCase(Case[LossSpec]):
    """A loss with the shape of its prediction, the batch included."""

    shape: Shape

    shapes: ClassVar[dict[str, str]] = {"shape": "shape of the prediction"}

    def builder(self) -> Callable[[], Loss]:
        """Return what builds the loss."""
        return self.spec.build

    def loss(self) -> Loss:
        """Return the loss, at some point of a training."""
        loss = self.spec.build()
        loss.progress = self.seed % 5 / 4
        return loss

    def prediction(self, dtype: torch.dtype = torch.float64, purpose: str = "given") -> Tensor:
        """Return a prediction in the range that the loss declares."""
        return self._within(self.normal(f"prediction {purpose}", *self.shape), 0.05).to(dtype)

    def target(self, dtype: torch.dtype = torch.float64, purpose: str = "given") -> Tensor:
        """Return a target in the range that the loss declares; never the prediction of the same purpose."""
        return self._within(self.normal(f"target {purpose}", *self.shape), 0.0).to(dtype)

    def _within(self, values: Tensor, margin: float) -> Tensor:
        if self.spec.domain is None:
            return values
        low, high = self.spec.domain
        return low + (high - low) * (margin + (1 - 2 * margin) * values.sigmoid())


@dataclass(frozen=True)
class OptimizerCase(Case[OptimizerSpec]):
    """An optimizer with the shapes of its parameters."""

    parameter_shapes: tuple[Shape, ...]

    shapes: ClassVar[dict[str, str]] = {"parameter_shapes": "shapes of the parameters"}

    def pairs(self, dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
        """Return parameters with random values, and gradients of zero."""
        parameters = [
            self.normal(f"parameter {index}", *shape, dtype=dtype) for index, shape in enumerate(self.parameter_shapes)
        ]
        return [(parameter, torch.zeros_like(parameter)) for parameter in parameters]

    def builder(self) -> Callable[[], Optimizer]:
        """Return what builds the optimizer."""
        return partial(self.spec.build, self.pairs())

    def optimizer(self, pairs: list[tuple[Tensor, Tensor]], **changes: Any) -> Optimizer:
        """Return the optimizer of ``pairs``; ``changes`` replace fields of the configuration."""
        optimizer = replace(self, configuration=self.configuration | changes).spec.build(pairs)
        optimizer.generator.manual_seed(self.seed)
        return optimizer

    def give_gradients(self, pairs: list[tuple[Tensor, Tensor]], step: int, size: float = 1.0) -> None:
        """Put the random gradients of a step into the pairs, in place; ``size`` is their standard deviation."""
        for index, (_, gradient) in enumerate(pairs):
            gradient.copy_(size * self.normal(f"gradient {step}/{index}", *gradient.shape))


@dataclass(frozen=True)
class NoiseCase(Case[NoiseSpec]):
    """A noise with the shape (N, C, H, W) of the pictures that it makes."""

    shape: Shape

    shapes: ClassVar[dict[str, str]] = {"shape": "shape of the pictures"}

    def builder(self) -> Callable[[], Noise]:
        """Return what builds the noise."""
        return self.spec.build

    def noise(self) -> Noise:
        """Return the noise."""
        return self.spec.build()

    def source(self, noise: Noise, dtype: torch.dtype = torch.float64, shape: Shape | None = None) -> Tensor:
        """Return pictures with values from 0 to 1, larger by the noise's scale."""
        count, channels, height, width = shape or self.shape
        size = (count, channels, height * noise.scale, width * noise.scale)
        return torch.rand(size, generator=self.generator("source"), dtype=torch.float64).to(dtype)


@dataclass(frozen=True)
class ScheduleCase(Case[ScheduleSpec]):
    """A schedule with the number of steps of a training."""

    steps: int

    shapes: ClassVar[dict[str, str]] = {"steps": "steps of the training"}

    def builder(self) -> Callable[[], Schedule]:
        """Return what builds the schedule."""
        return self.spec.build

    def schedule(self) -> Schedule:
        """Return the schedule."""
        return self.spec.build()

    def places(self) -> list[float]:
        """Return some progress in increasing order: that of every step, others, the ends and their neighbours."""
        near = [0.0, 5e-324, 1e-12, 1 - 2**-53, 1.0]
        between = torch.rand(16, generator=self.generator("progress"), dtype=torch.float64).tolist()
        return sorted({*near, *between, *(step / self.steps for step in range(self.steps))})


CASES: dict[KindName, type[Case[Spec]]] = {
    "layer": LayerCase,
    "loss": LossCase,
    "optimizer": OptimizerCase,
    "noise": NoiseCase,
    "schedule": ScheduleCase,
}
