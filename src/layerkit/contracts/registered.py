"""The types of fields in a spec that hold any registered component of a kind, from whichever package it comes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.specs import KindName, LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec, Spec
from layerkit.wording import show

REGISTERED = "x-layerkit-kind"
"""The keyword that a spec's JSON Schema has where any registered component of a kind may be."""


@dataclass(frozen=True)
class _Registered:
    """Annotates a field that accepts every registered component of one kind."""

    kind: KindName

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda spec, info: spec.model_dump(mode=info.mode, by_alias=True), info_arg=True
            ),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        # The class does not know which components are installed, so it writes a keyword, which the schema of an
        # architecture replaces.
        return {"type": "object", REGISTERED: self.kind}

    def _validate(self, value: Any, info: ValidationInfo) -> Spec:
        kind = KINDS[self.kind]
        if isinstance(value, kind.spec):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError(
                "component",
                "expected an object such as {example}, got {given}",
                {"example": f'{{"type": "{kind.example}"}}', "given": show(value)},
            )
        if info.context is None:
            message = "components inside a spec are read by layerkit.load_architecture"
            raise PydanticCustomError("component", message, {})
        spec_class: type[Spec] = info.context.spec_class(self.kind, value)
        try:
            # As JSON, because only then does strict pydantic accept a list for a tuple. Errors of the inner model keep
            # their path, and pydantic puts this field's path before it.
            return spec_class.model_validate_json(json.dumps(value), context=info.context)
        except (ValueError, PydanticCustomError):
            raise
        except Exception as error:
            fault = {"name": spec_class.__name__, "error": f"{type(error).__name__}: {error}"}
            raise PydanticCustomError("component", "{name} failed to check this ({error})", fault) from error


AnyLayer = Annotated[LayerSpec, _Registered("layer")]
AnyLoss = Annotated[LossSpec, _Registered("loss")]
AnyOptimizer = Annotated[OptimizerSpec, _Registered("optimizer")]
AnyNoise = Annotated[NoiseSpec, _Registered("noise")]
AnySchedule = Annotated[ScheduleSpec, _Registered("schedule")]
