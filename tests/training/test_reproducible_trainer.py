"""The same bits on any number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from together import together
from works import COUNTS, NETWORKS, NORMALIZED, distance, steps, steps_alone, trainer_of

from layerkit.distributed.group import Alone
from layerkit.errors import UserError
from layerkit.training.reproducible_trainer import ReproducibleTrainer


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["table1", "strong"])
def test_any_number_of_processes_and_threads_gives_the_same_bits(name, thorough, two_threads):
    counts = COUNTS if thorough else [4, 3]
    losses, state = steps_alone(NETWORKS[name], counts, "float32", ReproducibleTrainer)
    for size in (2, 3, 4) if thorough else (3,):
        for ((other_losses, other),) in together(size, steps, NETWORKS[name], counts, ["float32"], ReproducibleTrainer):
            assert other_losses == losses
            assert all(map(np.array_equal, other, state))
    assert distance(state, steps_alone(NETWORKS[name], counts, "float32")[1]) < 1e-6


def test_a_layer_that_mixes_the_batch_is_refused():
    with pytest.raises(UserError, match=r"layer 1 \(batch_norm2d\) mixes the samples of a batch, which cannot be cut"):
        trainer_of(NORMALIZED, 0, torch.float32, ReproducibleTrainer, Alone())
