"""The twin of a network in ``torch.nn``: what its layers are there, and what its tensors are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from torch import Tensor

from layerkit.contracts.twin import Twin
from layerkit.errors import PluginError, UserError
from layerkit.spec.architecture import Architecture
from layerkit.spec.tracing import trace
from layerkit.wording import json_path

_COUNTERS = "num_batches_tracked"
"""What batch normalization counts in torch.nn, where nothing depends on it."""


def twin_of(architecture: Architecture) -> Twin:
    """Return what a network is in ``torch.nn``.

    Raises:
        UserError: when it has a layer that is nothing there; the message names it.
    """
    twin = architecture.network.twin(architecture.input.shape)
    if twin is None:
        alone = [
            step
            for step in trace(architecture.network, architecture.input.shape)
            if not step.container and step.layer.twin(step.input_shape) is None
        ]
        where = f'{json_path(alone[0].path)}: the layer "{alone[0].layer.type}"' if alone else "a container in it"
        raise UserError(
            f'the network "{architecture.name}" cannot be exported: {where} does not say what it is in torch.nn; '
            "its package would write the method twin (or reference) of the layer's spec"
        )
    return twin


def learned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state that a network computes with; the others are states of random generators."""
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


def twin_names(own: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """Return what each tensor of a network is called in its twin.

    Both have their layers in the same order, and within a layer the tensors have the same last names.

    Raises:
        PluginError: when they have not, because a layer's twin is another one than it says.
    """
    names: dict[str, str] = {}
    counted = (name for name in theirs if _last(name) != _COUNTERS)
    nothing: list[str] = []
    for mine, others in zip_longest(_by_layer(own), _by_layer(counted), fillvalue=nothing):
        matching = {_last(name): name for name in others}
        if matching.keys() != {_last(name) for name in mine}:
            raise PluginError(f"a layer has the tensors {mine}, and its counterpart in torch.nn has {others}")
        names |= {name: matching[_last(name)] for name in mine}
    return names


def _by_layer(names: Iterable[str]) -> list[list[str]]:
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return list(layers.values())


def _last(name: str) -> str:
    return name.rpartition(".")[2]
