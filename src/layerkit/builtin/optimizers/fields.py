"""Field types that the optimizers share, each with its range."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LearningRate = Annotated[float, Field(ge=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, lt=1)]
"""The factor that multiplies a running mean in each step."""
WeightDecay = Annotated[float, Field(ge=0, le=1e3)]
Epsilon = Annotated[float, Field(ge=1e-16, le=1)]
