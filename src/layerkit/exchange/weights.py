"""Weights that were trained in torch.nn, for a network of the same architecture."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from layerkit.contracts.module import Module
from layerkit.disk import why_unreadable
from layerkit.errors import CheckpointError, UserError
from layerkit.exchange.twins import learned, twin_names

MAX_LISTED = 10
_WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
"""Under these names files of torch hold the state dict beside other things."""
_PREFIX = "module."
"""Before each name in the state of a network that was trained on several devices."""


@dataclass(frozen=True)
class Imported:
    """The result of importing a state dict.

    Attributes:
        names: what each tensor of the network is called in the file.
        ignored: names in the file that nothing was done with, since they are counters.
    """

    names: dict[str, str]
    ignored: list[str]


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of torch, by name.

    ``.safetensors`` is read as it is; ``.pt`` and ``.pth`` by torch's reader of weights alone, which runs no code.

    Raises:
        UserError: when the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {why_unreadable(error)}") from None
    except Exception as error:  # anything at all, of bytes that are no weights
        if isinstance(error, pickle.UnpicklingError) and "weights_only" in str(error):
            raise UserError(
                f"{path} holds more than weights, and to read it would run code: save the state dict alone, "
                "torch.save(network.state_dict(), ...), or as safetensors"
            ) from None
        raise UserError(f"{path} is no file of weights that torch or safetensors can read") from None
    for name in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds no state dict: a mapping from names to tensors was expected")
    return {str(name): value for name, value in found.items()}


def assign(network: Module, state: Mapping[str, Tensor]) -> Imported:
    """Put weights from elsewhere into a network.

    Names may be those of the network itself, or any others: then the layers are taken in their order, and the tensors
    of a layer by their last names, as an export to torch has them.

    Args:
        network: to change; it stays as it is where something does not fit.
        state: by name.

    Raises:
        CheckpointError: when names or shapes do not fit; the message lists them.
    """
    whole = network.state_dict()
    own = learned(whole)
    given = {name.removeprefix(_PREFIX): name for name in state}
    if own.keys() <= given.keys():
        names = {name: given[name] for name in own}
    else:
        try:
            names = {name: given[theirs] for name, theirs in twin_names(own, given).items()}
        except UserError as error:
            raise CheckpointError(f"the weights are not those of this network: {error}") from None
    unused = [name for name in state if name not in names.values() and not name.endswith("num_batches_tracked")]
    wrong = [
        f"{name} is {tuple(own[name].shape)}, and {theirs} in the file is {tuple(state[theirs].shape)}"
        for name, theirs in names.items()
        if own[name].shape != state[theirs].shape
    ] + [f"{name} in the file is nothing in the network" for name in unused]
    if wrong:
        more = f", and {len(wrong) - MAX_LISTED} more" if len(wrong) > MAX_LISTED else ""
        raise CheckpointError(f"the weights are not those of this network: {'; '.join(wrong[:MAX_LISTED])}{more}")
    network.load_state_dict(whole | {name: state[theirs].to(own[name].dtype) for name, theirs in names.items()})
    return Imported(names, [name for name in state if name not in names.values()])
