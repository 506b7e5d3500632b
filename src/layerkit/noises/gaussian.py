"""Additive Gaussian noise: ``y = x + n`` with ``n ~ N(0, (sigma / 255)^2)``, independent in every value.

``sigma`` is given in units of 8-bit values, as denoising papers do: 25 means 25 of 255. The sum is not clipped to
0..1, because clipping moves the mean near black and white, and Noise2Noise needs noise without a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import PydanticCustomError, core_schema
from torch import Tensor

from layerkit.component import NoiseSpec
from layerkit.noise import Noise

MAX_SIGMA = 255.0


@dataclass(frozen=True)
class _NumberOrRange:
    """The mark of a field that is one number, or the ends [low, high] of a range of numbers."""

    low: float
    high: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # Not a union: that would report every mistake once for each of its members.
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        number = {"type": "number", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]}

    def _validate(self, value: Any) -> float | tuple[float, float]:
        ends = value if isinstance(value, list | tuple) else (value, value)
        # NaN fails every comparison, and bool is not float or int by type.
        numbers = len(ends) == 2 and all(type(end) in (int, float) and self.low <= end <= self.high for end in ends)
        if numbers and ends[0] <= ends[1]:
            return (float(ends[0]), float(ends[1])) if ends is value else float(value)
        raise PydanticCustomError(
            "number_or_range",
            "expected a number from {low} to {high}, or a range of them such as [0, 50], the lower end first",
            {"low": f"{self.low:g}", "high": f"{self.high:g}"},
        )


class GaussianSpec(NoiseSpec):
    """Additive Gaussian noise: y = x + N(0, (sigma / 255)^2), independent in every pixel and channel, not clipped."""

    type: Literal["gaussian"] = Field(description="Additive Gaussian noise.")
    sigma: Annotated[float | tuple[float, float], _NumberOrRange(0.0, MAX_SIGMA)] = Field(
        description="Standard deviation in units of 8-bit values (25 is 25/255); a range [low, high] is drawn from "
        "uniformly, anew for every picture."
    )

    example: ClassVar[dict[str, Any]] = {"sigma": 25.0}

    def build(self) -> Gaussian:
        return Gaussian(self.sigma)


class Gaussian(Noise):
    """Adds ``N(0, (sigma / 255)^2)`` to every value.

    Args:
        sigma: standard deviation in units of 8-bit values, or a range (low, high) from which each picture's own
            is drawn uniformly.
    """

    def __init__(self, sigma: float | tuple[float, float]) -> None:
        self.sigma = sigma

    def draw(self, source: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``source + n``; (N, C, H, W) in, the same shape and dtype out."""
        noise = torch.randn(source.shape, generator=generator, dtype=source.dtype, device=source.device)
        return noise.mul_(self._deviations(source, generator)).add_(source)

    def _deviations(self, source: Tensor, generator: torch.Generator) -> Tensor | float:
        """Return the standard deviations in units of the picture: one number, or (N, 1, 1, 1)."""
        if not isinstance(self.sigma, tuple):
            return self.sigma / 255
        low, high = self.sigma
        shape = (source.shape[0], 1, 1, 1)
        uniform = torch.rand(shape, generator=generator, dtype=source.dtype, device=source.device)
        return uniform.mul_(high - low).add_(low).div_(255)
