from __future__ import annotations

import pytest
import torch

from layerkit.errors import Problem, SpecError, UserError
from layerkit.spec.unread import UnknownNoise, UnreadTraining


def test_an_unknown_noise_says_why_it_cannot_be_drawn():
    noise, generator = UnknownNoise(UserError("install it")), torch.Generator()
    for draw in (noise.draw, noise.target):
        with pytest.raises(UserError, match="install it"):
            draw(torch.zeros(1, 3, 4, 4), generator)
    with pytest.raises(UserError, match="install it"):
        noise.clean(torch.zeros(1, 3, 4, 4))


def test_each_problem_of_a_block_is_told():
    unread = UnreadTraining({}, (Problem("missing; add it", ("training", "loss")), Problem("odd", ("training",))))
    with pytest.raises(SpecError, match=r"training\.loss: missing; add it\n.*training: odd"):
        raise unread.error()
