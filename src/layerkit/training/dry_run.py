"""Runs a network without changing its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from layerkit.contracts.module import Module


@contextmanager
def dry_run(network: Module) -> Iterator[None]:
    """Let the network run inside ``with``, and restore it afterwards: weights, gradients, statistics, random
    generators.

    So a training is bit for bit the same whether or not something is inspected or measured in between. Of torch's
    global generators only that of the CPU is restored.
    """
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gradients = [gradient.clone() for _, gradient in network.param()]
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            yield
    finally:
        network.load_state_dict(state)
        for (_, gradient), kept in zip(network.param(), gradients, strict=True):
            gradient.copy_(kept)
        for _, module in network.modules():
            module.forget()
