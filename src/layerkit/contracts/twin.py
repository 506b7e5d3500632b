"""What a layer is in ``torch.nn``, so that a network can leave layerkit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Twin(NamedTuple):
    """A module of ``torch.nn`` that computes what a layer does, and the modules inside it.

    Its tensors have the names and the order of the layer's own.

    Attributes:
        name: of the class in ``torch.nn``; or ``Residual`` or ``Skip``, two small subclasses of ``nn.Sequential`` that
            an export writes down: x + f(x), and x and f(x) concatenated along the channels.
        arguments: of its constructor: numbers, texts, None, and tuples of these.
        inside: for ``Sequential``, ``Residual`` and ``Skip``, the modules one after the other.
    """

    name: str
    arguments: Mapping[str, Any] = {}
    inside: tuple[Twin, ...] = ()
