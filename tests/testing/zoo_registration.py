"""Specs with a single mistake each; the layers they build are right."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema, field_validator
from zoo_building import Bent, Scaled

from layerkit.builtin.layers.sequential import Sequential
from layerkit.contracts.module import Module
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import Inner, LayerSpec, Shape


class Keeps(LayerSpec):
    """The base of these specs: what is built gives back the shape it takes."""

    caught_by: ClassVar[str] = ""
    cleared_of: ClassVar[str] = ""
    """The check that accused it, of a spec that is strange and right; see ``zoo_honest``."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Bent(input_shape[0], generator)


class FieldWithoutDescription(Keeps):
    """A field has no description."""

    caught_by = "is_well_described"
    type: Literal["field_without_description"] = Field(description="The name.")
    strength: int = Field(default=1, ge=0, le=9)


class NotStrict(Keeps):
    """Converts what it is given, as "3" to 3."""

    caught_by = "is_well_described"
    model_config = ConfigDict(strict=False)
    type: Literal["not_strict"] = Field(description="The name.")
    strength: int = Field(default=1, ge=0, le=9, description="A number.")


class ExampleRefused(Keeps):
    """Its example is not valid."""

    caught_by = "example_is_valid"
    example: ClassVar[dict[str, Any]] = {"strength": 10}
    type: Literal["example_refused"] = Field(description="The name.")
    strength: int = Field(ge=0, le=9, description="A number.")


class DoubledOnReading(Keeps):
    """Doubles a number when it reads it, so that reading what was written gives another spec."""

    caught_by = "json_round_trips"
    type: Literal["doubled_on_reading"] = Field(description="The name.")
    strength: int = Field(default=1, ge=0, le=99, description="A number.")

    @field_validator("strength")
    @classmethod
    def double(cls, value: int) -> int:
        return value if value > 50 else 2 * value


class NotFrozen(Keeps):
    """Can be changed after it has been read."""

    caught_by = "json_round_trips"
    model_config = ConfigDict(frozen=False)
    type: Literal["not_frozen"] = Field(description="The name.")
    strength: int = Field(default=1, ge=0, le=9, description="A number.")


def _any_integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a whole number is needed")
    return value


class SchemaNarrower(Keeps):
    """The JSON Schema says 1 to 4, and pydantic takes every whole number."""

    caught_by = "schema_agrees"
    type: Literal["schema_narrower"] = Field(description="The name.")
    strength: Annotated[
        int, PlainValidator(_any_integer), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 4})
    ] = Field(default=1, description="A number.")


class UnknownKeysIgnored(Keeps):
    """Unknown keys are ignored, so that a misspelt field is never noticed."""

    caught_by = "mistakes_are_refused_at_their_place"
    model_config = ConfigDict(extra="ignore")
    type: Literal["unknown_keys_ignored"] = Field(description="The name.")


class InfinityTaken(Keeps):
    """Takes infinity for a number."""

    caught_by = "mistakes_are_refused_at_their_place"
    model_config = ConfigDict(allow_inf_nan=True)
    type: Literal["infinity_taken"] = Field(description="The name.")
    strength: float = Field(default=1.0, description="A number.")


class CrashesOnNonsense(Keeps):
    """Raises a TypeError for a value of another type."""

    caught_by = "mistakes_are_refused_at_their_place"
    type: Literal["crashes_on_nonsense"] = Field(description="The name.")
    strength: Annotated[int, BeforeValidator(lambda value: value + 0)] = Field(
        default=1, ge=0, le=9, description="A number."
    )


class CountIsWrong(Keeps):
    """parameter_count forgets the shift."""

    caught_by = "costs_are_true"
    type: Literal["count_is_wrong"] = Field(description="The name.")
    sample_shapes = ((2, 3, 4), (3, 2, 5))

    def parameter_count(self, input_shape: Shape) -> int:
        return input_shape[0]

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Scaled(input_shape[0], generator)


class InnerForgotten(Keeps):
    """A container that does not say what is inside it, so that its costs and its kinks stay unknown."""

    caught_by = "costs_are_true"
    type: Literal["inner_forgotten"] = Field(description="The name.")
    layer: AnyLayer = Field(description="The layer inside.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.layer.output_shape(input_shape)

    def inner(self, input_shape: Shape) -> tuple[Inner, ...]:
        return ()

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        return Sequential(self.layer.build(input_shape, generator))
