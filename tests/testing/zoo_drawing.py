"""Specs of which nothing can be drawn, or that no catalogue takes; each is told in one sentence."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from zoo_registration import Keeps

from layerkit.contracts.specs import Shape
from layerkit.errors import ShapeError


class NothingFits(Keeps):
    """Takes no shape at all."""

    caught_by = "cases_can_be_drawn"
    type: Literal["nothing_fits"] = Field(description="The name.")

    def output_shape(self, input_shape: Shape) -> Shape:
        raise ShapeError("this does not fit")


class ShapeDividedByZero(Keeps):
    """Computes its shape with a division by zero."""

    caught_by = "cases_can_be_drawn"
    type: Literal["shape_divided_by_zero"] = Field(description="The name.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return tuple(size // 0 for size in input_shape)


class NeverTogether(Keeps):
    """Refuses all that its schema takes, and has no example that says what it would not refuse."""

    caught_by = "cases_can_be_drawn"
    type: Literal["never_together"] = Field(description="The name.")
    first: int = Field(ge=1, le=9, description="A number.")
    second: int = Field(ge=1, le=9, description="Another number.")

    @model_validator(mode="after")
    def together(self) -> Self:
        if self.first * self.second != 97:
            raise ValueError("the product of first and second must be 97")
        return self


class ValidatorDividesByZero(Keeps):
    """Fails where it should refuse."""

    caught_by = "cases_can_be_drawn"
    type: Literal["validator_divides_by_zero"] = Field(description="The name.")
    first: int = Field(default=1, ge=1, le=9, description="A number.")

    @model_validator(mode="after")
    def divide(self) -> Self:
        _ = self.first // 0
        return self


class AliasedExample(Keeps):
    """Its example has a field by its alias, for which the catalogue leaves out the whole plugin."""

    caught_by = "catalogue_takes_it"
    example: ClassVar[dict[str, Any]] = {"from": 3}
    type: Literal["aliased_example"] = Field(description="The name.")
    first: int = Field(alias="from", default=1, ge=0, le=9, description="A number.")


class AliasesEverywhere(Keeps):
    """Its fields have the names that a generator of aliases makes, and so has its example."""

    caught_by = "catalogue_takes_it"
    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"))
    example: ClassVar[dict[str, Any]] = {"kernel-size": 3}
    type: Literal["aliases_everywhere"] = Field(description="The name.")
    kernel_size: int = Field(default=1, ge=0, le=9, description="A number.")
