"""What a program that shows a failure computes and prints; it has this text in it, so only torch is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def central_differences(
    call: Callable[..., list[Tensor]], inputs: list[Any], gradients: list[Any], step: float
) -> list[Tensor]:
    """Return the derivatives of the sum of outputs times gradients, by each value of the inputs that need one."""
    values = [x.detach().clone() if isinstance(x, Tensor) else x for x in inputs]

    def total() -> float:
        with torch.no_grad():
            pairs = zip(call(*values), gradients, strict=True)
            return float(sum((output * gradient).sum() for output, gradient in pairs if gradient is not None))

    found = []
    for index, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.requires_grad:
            slopes = torch.zeros_like(values[index])
            flat, value = slopes.view(-1), values[index].view(-1)
            for place in range(value.numel()):
                middle = float(value[place])
                value[place] = middle + step
                above = total()
                value[place] = middle - step
                flat[place] = (above - total()) / (2 * step)
                value[place] = middle
            found.append(slopes)
    return found


def copies(gradients: list[Any] | None) -> list[Any] | None:
    """Return copies, because a later call may write into the memory of the gradients."""
    return None if gradients is None else [None if g is None else g.clone() for g in gradients]


def compare(names: list[str], analytic: list[Any] | None, expected: list[Any], tolerance: float) -> None:
    """Print gradients beside what they should be, and fail where they differ."""
    for name, mine, truth in zip(names, analytic or [], expected, strict=analytic is not None):
        if truth is None:
            truth = torch.zeros(()) if mine is None else torch.zeros_like(mine)
        mine = torch.zeros_like(truth) if mine is None else mine.to(truth.dtype)
        print(f"the gradient of {name}:\n{mine}\nshould be:\n{truth}")
        error = float((mine - truth).norm())
        assert error <= tolerance * (1e-3 + float(truth.norm())), f"the gradient of {name} is wrong by {error:.3g}"
