from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from layerkit.contracts.generators import is_generator_state


def forged(left: int, following: int) -> torch.Tensor:
    state = torch.Generator().manual_seed(0).get_state()
    values = state.numpy()
    values[8:12] = np.frombuffer(struct.pack("=i", left), np.uint8)
    values[16:24] = np.frombuffer(struct.pack("=Q", following), np.uint8)
    return state


@pytest.mark.parametrize("drawn", [0, 1, 2, 10, 623, 624, 625, 2000])
def test_states_of_generators_that_have_drawn(drawn):
    generator = torch.Generator().manual_seed(3)
    torch.randint(2, (drawn,), generator=generator)
    state = generator.get_state()
    before = state.clone()
    assert is_generator_state(torch.Generator(), state)
    assert torch.equal(state, before)


@pytest.mark.parametrize("counters", [(624, 624), (624, 2), (300, 326), (-5, 3), (0, 0), (2**31 - 1, 2**31)])
def test_counters_that_lead_behind_the_numbers(counters):
    assert not is_generator_state(torch.Generator(), forged(*counters))


@pytest.mark.parametrize(
    "state", [torch.zeros(5056, dtype=torch.uint8), torch.zeros(3, dtype=torch.uint8), torch.zeros(5056)]
)
def test_tensors_that_are_no_states(state):
    assert not is_generator_state(torch.Generator(), state)
