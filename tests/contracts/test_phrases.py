from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
import torch
from pydantic import Field

from layerkit import Channels, Module
from layerkit.contracts.phrases import phrase


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (Channels, "a whole number from 1 to 65,536"),
        (Annotated[float, Field(ge=0.5)], "a number at least 0.5"),
        (Annotated[float, Field(le=1e-12)], "a number at most 1e-12"),
        (Annotated[float, Field(ge=0, lt=1)], "a number at least 0 and less than 1"),
        (Annotated[float, Field(gt=0, le=1e6)], "a number greater than 0 and at most 1,000,000"),
        (Channels | None, "a whole number from 1 to 65,536 or None"),
        (Annotated[int | None, Field(ge=1)], "a whole number at least 1 or None"),
        (bool | str, "True or False or a text"),
        (Literal["up", "down"], "'up' or 'down'"),
        (tuple[int, float], "(a whole number, a number)"),
        (tuple[bool, ...], "a tuple or list, each item True or False"),
        (Module, "a layerkit.Module"),
        (torch.Generator, "a torch.Generator"),
        (Sequence[int], "a Sequence"),
    ],
)
def test_a_type_in_words(annotation, words):
    assert phrase(annotation) == words
