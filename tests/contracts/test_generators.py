from __future__ import annotations

import struct

import numpy as np
import pytest
import torch
from layerkit_normalization import Dropout

from layerkit import Sequential
from layerkit.contracts.generators import generator_on, is_generator_state, set_state
from layerkit.errors import CheckpointError


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


def test_a_state_of_another_kind_of_device_becomes_a_seed():
    state = torch.arange(16, dtype=torch.uint8)  # as many bytes as a state has on a GPU for CUDA
    generators = [torch.Generator(), torch.Generator().manual_seed(5), torch.Generator()]
    for generator, given in zip(generators, (state, state, state + 1), strict=True):
        set_state(generator, given)
    drawn = [torch.rand(4, generator=generator) for generator in generators]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_generator_stays_where_it_is_or_where_there_are_none():
    generator = torch.Generator()
    assert generator_on(torch.device("cpu"), generator) is generator
    assert generator_on(torch.device("meta"), generator) is generator


def test_a_network_takes_the_state_of_generators_from_another_kind_of_device():
    networks = [Sequential(Dropout(0.5, generator=torch.Generator())) for _ in range(2)]
    for network in networks:
        network.load_state_dict({"0.generator": torch.full((16,), 7, dtype=torch.uint8)})
    x = torch.ones(2, 3, 4, 4)
    assert torch.equal(networks[0](x), networks[1](x))
    with pytest.raises(CheckpointError, match=r"0.generator must be \(5056,\), not \(17,\)"):
        networks[0].load_state_dict({"0.generator": torch.zeros(17, dtype=torch.uint8)})


def test_moving_a_network_to_where_it_is_changes_no_random_number():
    first, second = (Dropout(0.5, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    x = torch.ones(2, 3, 4, 4)
    assert torch.equal(first.to(device="cpu")(x), second(x))
