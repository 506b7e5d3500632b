"""The values that a target is tried on: the example's own, others like them, other sizes, larger numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from layerkit.testing.foreign.drawn import DEFAULT_SIZES, Drawn
from layerkit.testing.foreign.target import Argument

BATCH = "the first size of all inputs"
"""The name of a size that belongs to inputs whose first dimensions are equal."""

Sizes = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Case:
    """What the values of the arguments are made of.

    Attributes:
        seed: of what is drawn; 0 stands for the values of the examples.
        sizes: the sizes that are others than in the examples, by name.
        spread: by which what needs a gradient is multiplied.
        constant: what every value of what needs a gradient is, if it is one number.
    """

    seed: int = 0
    sizes: Sizes = ()
    spread: float = 1.0
    constant: float | None = None


class Inputs:
    """The arguments of a target, for any case.

    Attributes:
        needing: the numbers of the arguments whose gradients are checked.
        sizes: the sizes of the examples by name, each of which may be another in a case.
    """

    def __init__(self, arguments: tuple[Argument, ...], dtype: torch.dtype, seed: int) -> None:
        self._arguments, self._dtype, self._seed = arguments, dtype, seed
        self.sizes: dict[str, int] = {}
        self._drawn = any(isinstance(argument.example, Drawn) for argument in arguments)
        self._labels = [self._labelled(argument) for argument in arguments]
        self._shared = self._sharing_the_first_size()
        self.needing = self._needing()

    def values(self, case: Case) -> list[Any]:
        """Return contiguous tensors, floats in the dtype of the checks, and what is no tensor as it is."""
        generator = torch.Generator().manual_seed(1_000_003 * self._seed + case.seed)
        return [self._value(index, case, generator) for index in range(len(self._arguments))]

    def smaller(self, case: Case) -> Iterator[Case]:
        """Yield cases that are simpler than this one, the simplest first."""
        if case.spread != 1:
            yield replace(case, spread=1.0)
        sizes = dict(case.sizes)
        for name, size in (self.sizes | sizes).items():
            for less in (1, 2, 3):
                if less < size:
                    yield replace(case, sizes=tuple({**sizes, name: less}.items()))

    def described(self, case: Case) -> dict[str, str]:
        """Return the shapes of a case, and the numbers it is drawn with, for a report."""
        shapes = (
            f"{argument.name} {tuple(value.shape) if isinstance(value, Tensor) else repr(value)[:60]}"
            for argument, value in zip(self._arguments, self.values(case), strict=True)
        )
        told = {"inputs": ", ".join(shapes)}
        if case.seed:
            told["drawn"] = f"like the example, with seed {case.seed}"
        if case.constant is not None:
            told["every value"] = f"{case.constant:g}"
        return told | ({"multiplied by": f"{case.spread:g}"} if case.spread != 1 else {})

    def _labelled(self, argument: Argument) -> tuple[str | None, ...]:
        example = argument.example
        if isinstance(example, Drawn):
            for name in example.shape:
                if isinstance(name, str) and name not in self.sizes:
                    self.sizes[name] = DEFAULT_SIZES[len(self.sizes) % len(DEFAULT_SIZES)]
            return tuple(name if isinstance(name, str) else None for name in example.shape)
        if not isinstance(example, Tensor) or argument.parameter:
            return ()
        labels = tuple(f"every size of {size}" for size in example.shape)
        self.sizes |= dict(zip(labels, example.shape, strict=True))
        return labels

    def _sharing_the_first_size(self) -> frozenset[int]:
        """Return the arguments whose first dimension is that of the first tensor, if there are such."""
        tensors = [
            (index, argument.example)
            for index, argument in enumerate(self._arguments)
            if isinstance(argument.example, Tensor) and argument.example.dim() and not argument.parameter
        ]
        if not tensors:
            return frozenset()
        self.sizes[BATCH] = tensors[0][1].shape[0]
        return frozenset(index for index, tensor in tensors if tensor.shape[0] == self.sizes[BATCH])

    def _needing(self) -> tuple[int, ...]:
        examples = [argument.example for argument in self._arguments]
        floats = [i for i, value in enumerate(examples) if isinstance(value, Tensor) and value.is_floating_point()]
        said = [i for i in floats if examples[i].requires_grad]
        plain = [i for i in said if not self._arguments[i].parameter]
        # Where nobody says requires_grad every float of the inputs counts; a module's parameters say it themselves.
        chosen = said if plain else [i for i in floats if not self._arguments[i].parameter or i in said]
        return tuple(
            sorted([*chosen, *(i for i, v in enumerate(examples) if isinstance(v, Drawn) and v.needs_gradient)])
        )

    def _value(self, index: int, case: Case, generator: torch.Generator) -> Any:
        example = self._arguments[index].example
        if not isinstance(example, Tensor | Drawn):
            return example
        shape = self._shape(index, example, case)
        if isinstance(example, Drawn):
            value = _draw(example, shape, generator)
        elif case.seed == 0 and shape == tuple(example.shape):
            value = example.detach().clone(memory_format=torch.contiguous_format)
        else:
            value = _alike(example.detach(), shape, generator)
        value = value.to(self._dtype) if value.is_floating_point() else value
        if index not in self.needing or self._arguments[index].parameter:
            return value
        if case.constant is not None:
            return torch.full_like(value, case.constant)
        return case.spread * value if case.spread != 1 else value

    def _shape(self, index: int, example: Tensor | Drawn, case: Case) -> tuple[int, ...]:
        sizes = dict(case.sizes)
        shape = []
        labels = self._labels[index] or (None,) * len(example.shape)
        for position, (label, size) in enumerate(zip(labels, example.shape, strict=True)):
            if position == 0 and BATCH in sizes and index in self._shared:
                shape.append(sizes[BATCH])
            elif label is not None:
                shape.append(sizes.get(label, self.sizes[label]))
            else:
                shape.append(int(size))
        return tuple(shape)


def _draw(what: Drawn, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if what.dtype == "bool":
        return torch.rand(shape, generator=generator) < 0.5
    if what.dtype == "long":
        return torch.randint(int(what.low or 0), int(what.high or 1), shape, generator=generator)
    if what.low is None or what.high is None:
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    return what.low + (what.high - what.low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def _alike(example: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return values like those of an example: some of them, a little changed where they are floats, in its range."""
    if not example.numel():
        return example.new_zeros(shape)
    places = torch.randint(example.numel(), shape, generator=generator)
    values = example.reshape(-1).cpu()[places]
    if not example.is_floating_point():
        return values
    values = values.double()
    change = 0.1 * (torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5)
    low, high = float(example.min()), float(example.max())
    changed = values * (1 + change)
    # One that would leave the range is changed in the other sense.
    return torch.where((changed < low) | (changed > high), values * (1 - change), changed)
