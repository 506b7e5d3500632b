"""Components that depend on where and when they are used: on a process, a clock, a text read twice, torch's defaults.

Those of which another process must know the spec are written out, so that it can be imported.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_serializer
from torch import Tensor
from zoo_building import Bent, Layer, Scaled
from zoo_losses import Squared
from zoo_noises import Additive

from layerkit.contracts.module import Module
from layerkit.contracts.specs import LayerSpec, NoiseSpec, Shape


class SeedFromTheClock(Layer):
    """Its weights are drawn from a generator that the second of the day seeds."""

    caught_by = "same_at_any_time_and_place"

    def prepare(self, generator: torch.Generator) -> None:
        own = torch.Generator().manual_seed(int(time.time()) // 86_400)
        self.add_parameter("shift", torch.randn(self.channels, generator=own))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        self.shift_grad.add_(grad_output.sum((0, 2, 3)))
        return grad_output.clone()


class SeedFromTheEnvironment(SeedFromTheClock):
    """Its weights are drawn from a generator that an environment variable seeds."""

    caught_by = "same_at_any_time_and_place"

    def prepare(self, generator: torch.Generator) -> None:
        own = torch.Generator().manual_seed(int(os.environ.get("ZOO_SEED", "3")))
        self.add_parameter("shift", torch.randn(self.channels, generator=own))


class NoiseByHash(Additive):
    """The pattern that it adds to every picture comes from the hash of its name."""

    caught_by = "same_at_any_time_and_place"
    unbiased = False

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        own = torch.Generator().manual_seed(hash("pattern") % 2**31)
        return super().draw(source, generator) + torch.rand(source.shape[1:], generator=own, dtype=source.dtype)


ORDER = "".join({"first", "second", "third", "fourth", "fifth", "sixth"})
"""A set of texts has another order in each process."""


class Ordered(Module):
    """y = x + shift."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.clone()


class ByTheOrderOfASet(LayerSpec):
    """Its shift depends on the order of a set of texts."""

    caught_by: ClassVar[str] = "same_in_another_process"
    type: Literal["by_the_order_of_a_set"] = Field(description="The name.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Ordered(sum(place * ord(letter) for place, letter in enumerate(ORDER)) % 1009 / 1009)


MADE_AT = time.time_ns() % 1009
"""When this module was imported, which another process did at another time."""


class ByTheTimeOfImport(NoiseSpec):
    """How strong it is depends on when its module was imported."""

    caught_by: ClassVar[str] = "same_in_another_process"
    type: Literal["by_the_time_of_import"] = Field(description="The name.")

    def build(self) -> Additive:
        return Strong(1 + MADE_AT / 1009)


class Strong(Additive):
    """Adds normal numbers of some strength."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        return source + self.strength * torch.randn(source.shape, generator=generator, dtype=source.dtype)


_COUNTER = itertools.count()


class CountsWhatItReads(LayerSpec):
    """A field that is left out has another value each time a text is read."""

    caught_by: ClassVar[str] = "one_text_means_one_thing"
    type: Literal["counts_what_it_reads"] = Field(description="The name.")
    shift: float = Field(default_factory=lambda: next(_COUNTER) % 7 / 7, ge=0, le=1, description="What is added.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Ordered(self.shift)


class WrittenWithThreeDigits(LayerSpec):
    """Writes its number with three digits, and takes two that agree in these for equal."""

    caught_by: ClassVar[str] = "one_text_means_one_thing"
    type: Literal["written_with_three_digits"] = Field(description="The name.")
    shift: float = Field(ge=0, le=1, description="What is added.")

    @field_serializer("shift")
    def _short(self, shift: float) -> float:
        return round(shift, 3)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, WrittenWithThreeDigits) and abs(self.shift - other.shift) < 1e-3

    __hash__ = LayerSpec.__hash__

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Ordered(self.shift)


class OnTheDefaultDevice(Bent):
    """Adds a row of numbers that it makes on whatever device is the default."""

    caught_by = "defaults_do_not_matter"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.linspace(0, 1, x.shape[-1], dtype=x.dtype)


class OfTheDefaultDtype(Scaled):
    """Multiplies by ones of the default dtype, which float32 becomes when that is float64."""

    caught_by = "defaults_do_not_matter"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.ones(x.shape[-1], device=x.device)


class LossOfTheDefaultDtype(Squared):
    """Its gradient has whatever dtype is the default."""

    caught_by = "defaults_do_not_matter"

    def backward(self) -> Tensor:
        grad = super().backward()
        return grad * torch.ones(grad.shape[-1], device=grad.device)
