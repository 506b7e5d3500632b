"""How the animals of the zoo are kept: a module alone, from which a spec is made.

A broken component says in its docstring what is wrong with it, and in ``caught_by`` which check must notice. The bases
here are right; most animals are one of them with a single mistake.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.contracts.specs import (
    LayerSpec,
    LossSpec,
    NoiseSpec,
    OptimizerSpec,
    ScheduleSpec,
    Shape,
    Spec,
)
from layerkit.errors import ShapeError


def animals(*modules: ModuleType) -> dict[str, type]:
    """Return the broken components of some modules by name."""
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, type) and vars(value).get("caught_by") and value.__module__ == module.__name__:
                found[snake(name)] = value
    return found


def snake(name: str) -> str:
    """Return ``CamelCase`` as ``camel_case``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@cache
def spec_of(animal: type) -> type[Spec]:
    """Return the spec of an animal: itself if it is one, otherwise one that is made for its kind."""
    if issubclass(animal, Spec):
        return animal
    kind = next(base for base in animal.__mro__ if base in _SPECS)
    return _SPECS[kind](animal)


def _make(animal: type, base: type[Spec], members: dict[str, Any], fields: dict[str, tuple[Any, Any]]) -> type[Spec]:
    name = snake(animal.__name__)
    fields = {"type": (Literal[name], Field(description="The name."))} | fields
    namespace = {
        "__module__": animal.__module__,
        "__doc__": animal.__doc__,
        "__annotations__": {field: annotation for field, (annotation, _) in fields.items()},
        **{field: info for field, (_, info) in fields.items()},
        **{name: getattr(animal, name) for name in _DECLARED if hasattr(animal, name)},
        **members,
    }
    spec = type(base)(f"{animal.__name__}Spec", (base,), namespace)
    setattr(sys.modules[animal.__module__], spec.__name__, spec)  # where pickle looks for it
    return spec


_DECLARED = (
    "kinked",
    "stochastic",
    "mixes_batch",
    "modal",
    "couples_parameters",
    "random_steps",
    "sample_shapes",
    "domain",
    "elementwise",
    "takes_masked",
    "unbiased",
    "masks_targets",
    "reference",
    "kinks",
    "ends",
    "jumps",
)


class Layer(Module):
    """The base of layers: built for a number of channels, it gives back the shape it takes."""

    varies = ""
    """What decides which other checks notice, where that is a matter of chance."""
    ranks: tuple[int, ...] = (3,)
    """Dimensions of the samples that are taken."""
    fields: ClassVar[dict[str, tuple[Any, Any]]] = {}
    """Further fields of the spec, which become keyword arguments."""

    def __init__(self, channels: int, generator: torch.Generator, **options: Any) -> None:
        super().__init__()
        self.channels = channels
        self.options = options
        self.prepare(generator)

    def prepare(self, generator: torch.Generator) -> None:
        """Make parameters and buffers."""

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        """Return the shape of one output sample."""
        return shape


def _layer_spec(animal: type[Layer]) -> type[Spec]:
    def options(self: LayerSpec) -> dict[str, Any]:
        return {name: getattr(self, name) for name in animal.fields}

    def output_shape(self: LayerSpec, input_shape: Shape) -> Shape:
        if len(input_shape) not in animal.ranks:
            raise ShapeError(f"expected a sample of {animal.ranks} dimensions")
        return animal.output_shape_of(tuple(input_shape), **options(self))

    def build(self: LayerSpec, input_shape: Shape, generator: torch.Generator) -> Module:
        return animal(input_shape[0], generator, **options(self))

    def parameter_count(self: LayerSpec, input_shape: Shape) -> int:
        layer = animal(input_shape[0], torch.Generator().manual_seed(0), **options(self))
        return sum(parameter.numel() for parameter, _ in layer.param())

    members = {"output_shape": output_shape, "build": build, "parameter_count": parameter_count}
    return _make(animal, LayerSpec, members | getattr(animal, "spec_members", {}), animal.fields)


class Loss_:
    """The mark of losses."""


class Optimizer_:
    """The mark of optimizers."""


class Noise_:
    """The mark of noises."""


class Schedule_:
    """The mark of schedules."""


_SPECS: dict[type, Any] = {
    Layer: _layer_spec,
    Loss_: lambda animal: _make(
        animal, LossSpec, {"build": lambda self: animal()} | getattr(animal, "spec_members", {}), {}
    ),
    Optimizer_: lambda animal: _make(
        animal,
        OptimizerSpec,
        {"build": lambda self, parameters: animal(parameters, self.lr), "example": {"lr": 0.1}},
        {"lr": (float, Field(ge=0, le=1, description="The learning rate."))},
    ),
    Noise_: lambda animal: _make(animal, NoiseSpec, {"build": lambda self: animal()}, {}),
    Schedule_: lambda animal: _make(animal, ScheduleSpec, {"build": lambda self: animal()}, {}),
}


def unguarded(animal: type) -> type:
    """Take away from forward and backward what every module gets around them."""
    for name in ("forward", "backward"):
        if name in vars(animal):
            setattr(animal, name, vars(animal)[name].__wrapped__)
    return animal


# The bases


class Bent(Layer):
    """y = x + x^2 / 4, element by element."""

    ranks = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x + x * x / 4

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        return grad_output * (1 + x / 2)


class Rectified(Layer):
    """y = max(0, x)."""

    ranks = (1, 2, 3)
    kinked = True

    def forward(self, x: Tensor) -> Tensor:
        y = x.clamp(min=0)
        self.save(y > 0)
        return y

    def backward(self, grad_output: Tensor) -> Tensor:
        (mask,) = self.saved()
        return grad_output * mask


class Scaled(Layer):
    """y = scale x + shift, with a scale and a shift for each channel."""

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("scale", 1 + 0.1 * torch.randn(self.channels, generator=generator))
        self.add_parameter("shift", torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        self.save(x.clone())
        return x * self.scale[:, None, None] + self.shift[:, None, None]

    def backward(self, grad_output: Tensor) -> Tensor:
        (x,) = self.saved()
        self.scale_grad.add_((grad_output * x).sum((0, 2, 3)))
        self.shift_grad.add_(grad_output.sum((0, 2, 3)))
        return grad_output * self.scale[:, None, None]


class Enlarged(Layer):
    """Every pixel twice, in both directions."""

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        return shape[0], 2 * shape[1], 2 * shape[2]

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output.unflatten(3, (-1, 2)).sum(4).unflatten(2, (-1, 2)).sum(3)


class Convolved(Layer):
    """A convolution with two output channels, a 2x2 kernel, a stride and a bias, by unfold and fold."""

    fields: ClassVar[dict[str, tuple[Any, Any]]] = {
        "stride": (int, Field(default=1, ge=1, le=3, description="Steps between windows."))
    }

    @classmethod
    def output_shape_of(cls, shape: Shape, **options: Any) -> Shape:
        if min(shape[1:]) < 2:
            raise ShapeError("a kernel of 2x2 does not fit")
        return 2, *((size - 2) // options["stride"] + 1 for size in shape[1:])

    def prepare(self, generator: torch.Generator) -> None:
        self.add_parameter("weight", torch.randn(2, self.channels, 2, 2, generator=generator) / 2)
        self.add_parameter("bias", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        stride = self.options["stride"]
        patches = torch.nn.functional.unfold(x, 2, stride=stride)
        self.save(patches, x.shape)
        y = self.weight.flatten(1) @ patches + self.bias[:, None]
        _, height, width = self.output_shape_of(tuple(x.shape[1:]), **self.options)
        return y.reshape(len(x), 2, height, width)

    def backward(self, grad_output: Tensor) -> Tensor:
        patches, shape = self.saved()
        grad = grad_output.flatten(2)
        self.weight_grad.add_((grad @ patches.transpose(1, 2)).sum(0).view_as(self.weight))
        self.bias_grad.add_(grad.sum((0, 2)))
        return self.put_back(self.weight.flatten(1).t() @ grad, shape)

    def put_back(self, grad_patches: Tensor, shape: torch.Size) -> Tensor:
        """Return the gradient of the input from that of the windows."""
        if not len(grad_patches):
            return grad_patches.new_zeros(shape)
        return torch.nn.functional.fold(grad_patches, tuple(shape[2:]), 2, stride=self.options["stride"])


class Dropped(Layer):
    """Half of the values are zero, by chance; in evaluation none."""

    ranks = (1, 2, 3)
    stochastic = modal = True

    def prepare(self, generator: torch.Generator) -> None:
        self.generator = torch.Generator().manual_seed(int(torch.randint(2**31, (), generator=generator)))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = 2.0 * torch.randint(0, 2, x.shape, generator=self.generator, dtype=x.dtype)
        self.save(mask)
        return x * mask

    def backward(self, grad_output: Tensor) -> Tensor:
        (mask,) = self.saved()
        return grad_output * mask


class Centred(Layer):
    """y = x - mean over the batch; in evaluation the running mean."""

    ranks = (1, 2, 3)
    mixes_batch = modal = True

    def prepare(self, generator: torch.Generator) -> None:
        self.add_buffer("running", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x - self.running
        if len(x):
            self.running.lerp_(x.mean(), 0.1)
        return x - x.mean(0, keepdim=True) if len(x) else x.clone()

    def backward(self, grad_output: Tensor) -> Tensor:
        return grad_output - grad_output.mean(0, keepdim=True) if len(grad_output) else grad_output.clone()
