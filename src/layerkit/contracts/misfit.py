"""Explains why torch could not compute with an input, by comparing it with the layer's parameters.

Inputs are examined only after torch has failed, so that a successful pass takes no longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from layerkit.errors import TensorError


def misfit(who: str, inputs: Sequence[object], own: Tensor | None) -> TensorError | None:
    """Return the error for the first wrong input, or None if there is nothing wrong with any.

    Args:
        who: the name of the layer or loss.
        inputs: its inputs.
        own: a tensor with the dtype and device of its parameters; None where it has no parameters.
    """
    for given in inputs:
        if not isinstance(given, Tensor):
            return not_a_tensor(who, given)
        if own is not None and given.dtype != own.dtype:
            return TensorError(
                f"{who}: expected a tensor of {own.dtype}, as its parameters are, not of {given.dtype}; "
                f"convert it with x.to({own.dtype})"
            )
        if own is not None and given.device != own.device:
            return TensorError(
                f"{who}: expected a tensor on {own.device}, where its parameters are, not on {given.device}; "
                f'move it with x.to("{own.device}")'
            )
        if not given.is_floating_point():
            return no_floats(who, given)
    devices = {str(given.device): given for given in inputs if isinstance(given, Tensor)}
    if len(devices) > 1:
        return TensorError(f"{who}: its inputs are on {' and '.join(devices)}; move them to one device with x.to(...)")
    return None


def not_a_tensor(who: str, given: object) -> TensorError:
    """Return the error for an input that is not a tensor."""
    if isinstance(given, np.ndarray):
        return TensorError(f"{who}: expected a torch.Tensor, not a numpy array; convert it with torch.from_numpy(x)")
    return TensorError(f"{who}: expected a torch.Tensor, not {type(given).__name__}; convert it with torch.tensor(x)")


def no_floats(who: str, given: Tensor) -> TensorError:
    """Return the error for a tensor of integers, booleans or complex numbers."""
    return TensorError(f"{who}: expected a tensor of floats, not of {given.dtype}; convert it with x.float()")
