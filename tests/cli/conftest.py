from __future__ import annotations

from pathlib import Path

import pytest

ARCHITECTURES = Path(__file__).parents[2] / "architectures"


@pytest.fixture
def table1() -> str:
    return str(ARCHITECTURES / "table1.json")


@pytest.fixture
def unet() -> str:
    return str(ARCHITECTURES / "unet.json")
