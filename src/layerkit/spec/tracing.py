"""Computes shapes and costs of a network, layer by layer, from its spec without building it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from layerkit.builtin.layers.repeat import MAX_LAYERS, expanded_count
from layerkit.contracts.module import Module
from layerkit.contracts.specs import Inner, LayerSpec, Shape, broken, chains_kept
from layerkit.errors import ShapeError

MAX_PARAMETERS = 2**30
MAX_ACTIVATIONS = 2**30
"""How many numbers the input and the outputs of all layers may hold together for one sample."""


@dataclass(frozen=True)
class Step:
    """One layer of a network with its shapes and costs for one sample; a container has the costs of its layers.

    Attributes:
        path: the JSON path of the layer in the architecture.
        depth: the number of containers around it.
        container: whether it has layers inside; their steps follow.
    """

    path: tuple[str | int, ...]
    depth: int
    layer: LayerSpec
    container: bool
    input_shape: Shape
    output_shape: Shape
    parameters: int
    multiply_adds: int

    @property
    def activations(self) -> int:
        """The number of values in the output."""
        return prod(self.output_shape)


def trace(network: LayerSpec, input_shape: Shape) -> list[Step]:
    """Return the layers inside ``network``, in order, each container before its content.

    Raises:
        ShapeError: at the first layer that cannot take what comes before it.
    """
    count = expanded_count(network) - 1
    if count > MAX_LAYERS:
        message = f"with nested layers and every copy these are {count:,} layers; at most {MAX_LAYERS:,} are built"
        raise ShapeError(message, ("layers",))
    with chains_kept():
        network.output_shape(input_shape)
        return _steps(network.inner(input_shape), (), 0)


def written_layers(tree: Any) -> int:
    """Return how many layers are written in a spec that has not been checked yet; copies are not counted."""
    if isinstance(tree, dict):
        layers = tree.get("layers")
        return sum(map(written_layers, tree.values())) + (len(layers) if isinstance(layers, list) else 0)
    return sum(map(written_layers, tree)) if isinstance(tree, list) else 0


def _steps(inner: tuple[Inner, ...], prefix: tuple[str | int, ...], depth: int) -> list[Step]:
    steps: list[Step] = []
    for path, layer, shape in inner:
        within, full = layer.inner(shape), (*prefix, *path)
        content = _steps(within, full, depth + 1)  # before the container, so that an error is the innermost layer's
        try:
            costs = layer.output_shape(shape), layer.parameter_count(shape), layer.multiply_adds(shape)
        except ShapeError as error:
            raise error.inside(*full) from None
        except Exception as error:
            raise broken(layer, error).inside(*full) from error
        steps += [Step(full, depth, layer, bool(within), shape, *costs), *content]
    return steps


def once(steps: list[Step]) -> list[Step]:
    """Return the steps with only the first copy of each repeated layer; all copies have the same path in the spec."""
    return list({step.path: step for step in reversed(steps)}.values())[::-1]


def built_from(steps: list[Step], network: Module) -> Iterator[tuple[Step, Module]]:
    """Yield the modules inside a network, each with its step; all copies of a layer share the first copy's step.

    Modules that a layer creates by itself are left out, since no spec declares them.
    """
    declared = {id(step.layer): step for step in once(steps)}
    for _, module in network.modules():
        step = declared.get(id(module.declared_by))
        if step is not None:
            yield step, module


def check_affordable(steps: list[Step]) -> None:
    """Refuse a network whose parameters or activations would not fit into memory, before anything is built.

    Raises:
        ShapeError: with the path of the layer at which a limit is exceeded.
    """
    parameters = 0
    activations = prod(steps[0].input_shape) if steps else 0
    if activations > MAX_ACTIVATIONS:
        raise ShapeError(
            f"one picture holds {activations:,} numbers, and at most {MAX_ACTIVATIONS:,} are computed with; "
            "make it smaller",
            ("input",),
        )
    for step in steps:
        if step.container:
            continue
        parameters += step.parameters
        activations += step.activations
        if parameters > MAX_PARAMETERS:
            raise ShapeError(
                f"up to here the network has {parameters:,} parameters, and at most {MAX_PARAMETERS:,} are built; "
                "use fewer channels",
                step.path,
            )
        if activations > MAX_ACTIVATIONS:
            raise ShapeError(
                f"up to here the outputs for one sample hold {activations:,} numbers, and at most "
                f"{MAX_ACTIVATIONS:,} are computed; use fewer channels or a smaller input",
                step.path,
            )
