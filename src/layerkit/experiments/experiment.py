"""The content of an experiment file, as frozen and strict models."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

from layerkit.contracts.specs import StrictModel
from layerkit.spec.overrides import PATH

FORMAT = 1
MAX_TRIALS = 1_000
MAX_TEXT = 200

Text = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class Written:
    """Annotates a string that must match a pattern, with an error message that says what is expected.

    Attributes:
        pattern: a regular expression for the whole string.
        expected: the end of the message, after "expected".
    """

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({self.pattern})$", "maxLength": MAX_TEXT}

    def _checked(self, value: str) -> str:
        if len(value) > MAX_TEXT or not re.fullmatch(self.pattern, value):
            raise PydanticCustomError("written", "expected {expected}", {"expected": self.expected})
        return value


OverridePath = Annotated[
    str, Written(PATH, "the path of a value, such as training.optimizer.lr or layers[0].out_channels")
]
BasePath = Annotated[
    str,
    Written(
        r"(\.\./)?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*",
        "the path of an architecture from this file, such as ../table1.json, at most one folder up",
    ),
]
Name = Annotated[str, Written(r"[a-z0-9][a-z0-9_-]{0,63}", "a name of at most 64 small letters, digits, - and _")]
Overrides = Annotated[dict[OverridePath, JsonValue], Field(max_length=50)]
Grid = Annotated[
    dict[OverridePath, Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=200)]], Field(max_length=4)
]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=2**63 - 1)], ...],
    Field(min_length=1, max_length=100, description="Every trial is trained once with each."),
]
Numbers = Annotated[tuple[float, ...], Field(max_length=1_000)]
Targets = Literal["noisy", "clean"]


class Variant(StrictModel):
    """One way to train, for sweeps that are not a grid of values."""

    name: Text = Field(description="The name in tables.")
    series: str = Field(default="", max_length=200, description="The line of a curve that it belongs to.")
    base: BasePath | None = Field(default=None, description="Its own architecture, in place of the experiment's.")
    set: Overrides = Field(default_factory=dict, description="Values that replace those of the architecture, by path.")


class Figure(StrictModel):
    """How the results are drawn."""

    type: Literal["layers", "loss", "curve", "montage", "table", "gaps"] = Field(
        description="layers: the network's layers; loss: the training loss; curve: PSNR against a value of the "
        "architecture; montage: pictures; table: every trial's quality; gaps: trained on noisy against trained on "
        "clean targets."
    )
    x: OverridePath | None = Field(default=None, description="The value of the resolved architecture along a curve.")
    x_label: str = Field(default="", max_length=200, description="The label of that axis.")
    x_log: bool = Field(default=False, description="Whether it is drawn on a logarithmic axis.")
    seconds: bool = Field(default=False, description="Whether the training's seconds are drawn below the PSNR.")
    report_factor: float = Field(
        default=1.0, gt=0, le=1e6, description="The factor from our scale to the report's scale."
    )
    report_label: str = Field(default="", max_length=200, description="The label of the report's scale.")

    @model_validator(mode="after")
    def _curve_needs_x(self) -> Self:
        if self.type == "curve" and self.x is None:
            raise PydanticCustomError("figure", 'a curve needs "x", such as "training.batch_size"', {})
        return self


class ReportedLayer(StrictModel):
    """A row of the report's table of layers, in the words of the report."""

    name: Text
    channels: int | None = Field(default=None, ge=1, description="Channels of its output, where the report has them.")
    function: str = Field(default="", max_length=200, description="What it does.")


class Reported(StrictModel):
    """The report's numbers, read from its figures: lists of equal length, and its table of layers."""

    x: Numbers = Field(default=(), description="Places along the axis, on the report's scale.")
    psnr: Numbers = Field(default=(), description="PSNR in dB.")
    seconds: Numbers = Field(default=(), description="Training time in seconds.")
    loss: Numbers = Field(default=(), description="Training loss, on the report's scale.")
    layers: Annotated[tuple[ReportedLayer, ...], Field(max_length=200)] = Field(
        default=(), description="Its table of layers, the input first."
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        lengths = {name: len(values) for name, values in self if values and name != "layers"}
        if len({*lengths.values()}) > 1:
            given = ", ".join(f"{length} of {name}" for name, length in lengths.items())
            raise PydanticCustomError("reported", "expected lists of one length, got {given}", {"given": given})
        return self


class Claim(StrictModel):
    """A sentence of the report that results can confirm or not; the first lines of the page judge it."""

    text: Text = Field(description="What the report says.")
    of: Literal["psnr", "seconds", "loss"] = Field(description="The numbers that it is about.")
    kind: Literal["reaches", "below", "rises", "falls", "best", "overlaps"] = Field(
        description="reaches: the report's number, but for limit; below: the last number is below limit; rises, falls: "
        "from the first place of a curve to its last; best: the report's highest place is the highest; overlaps: the "
        "ranges of the numbers do."
    )
    limit: float | None = Field(default=None, ge=0, description='For "reaches" and "below".')

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if (self.kind in ("reaches", "below")) != (self.limit is not None):
            raise PydanticCustomError("claim", '"limit" belongs to "reaches" and "below", and to no other kind', {})
        return self


class Quick(StrictModel):
    """The values that the quick form replaces."""

    set: Overrides = Field(default_factory=dict, description="Values that replace those of all others, by path.")
    vary: Grid = Field(default_factory=dict, description="Shorter lists of values for paths that vary.")
    variants: tuple[Text, ...] | None = Field(default=None, min_length=1, description="The only variants it trains.")
    seeds: Seeds | None = None


class Experiment(StrictModel):
    """A sweep: its trainings, and the figure that is drawn from them."""

    schema_: str | None = Field(
        default=None, alias="$schema", max_length=2048, description="The JSON Schema of this file, for editors."
    )
    format: Literal[1] = Field(description="The version of this file format.")
    name: Name = Field(description="A short name of small letters, digits, - and _, for the figure's file.")
    title: Text = Field(description="The heading above the figure.")
    description: str = Field(default="", max_length=20_000, description="What the figure shows, in a few sentences.")
    base: BasePath = Field(description='The architecture that is trained, from this file, such as "../table1.json".')
    set: Overrides = Field(default_factory=dict, description="Values that replace those of the architecture, by path.")
    vary: Grid = Field(default_factory=dict, description="Values by path; all combinations are trained.")
    variants: tuple[Variant, ...] = Field(default=(), max_length=200, description="Ways to train, instead of a grid.")
    targets: Annotated[tuple[Targets, ...], Field(min_length=1, max_length=2)] = Field(
        default=("noisy",), description="The training targets: another noisy version, or the clean picture."
    )
    seeds: Seeds = (0,)
    timed: bool = Field(
        default=False,
        description="Whether the seconds matter: then trials of the first seed run one at a time, with no other trial "
        "of the sweep on the machine, and are never resumed.",
    )
    pictures_only: bool = Field(
        default=False, description="Whether it needs clean pictures; then it is left out for files of noisy pairs."
    )
    figure: Figure
    reported: Reported = Field(default_factory=Reported)
    claims: Annotated[tuple[Claim, ...], Field(max_length=20)] = Field(
        default=(), description="What the report concludes from these numbers."
    )
    quick: Quick = Field(default_factory=Quick)

    @field_validator("format", mode="before")
    @classmethod
    def _known_format(cls, value: Any) -> Any:
        if value != FORMAT or type(value) is not int:  # pydantic accepts true and 1.0 for 1
            raise PydanticCustomError("format", "this layerkit reads format {format}", {"format": FORMAT})
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [variant.name for variant in self.variants]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise PydanticCustomError("experiment", 'two variants are named "{name}"', {"name": repeated[0]})
        unknown = [name for name in self.quick.variants or () if name not in names]
        if unknown:
            raise PydanticCustomError("experiment", 'quick names "{name}", which is no variant', {"name": unknown[0]})
        unknown = [path for path in self.quick.vary if path not in self.vary]
        if unknown:
            raise PydanticCustomError(
                "experiment", 'quick varies "{path}", which "vary" does not', {"path": unknown[0]}
            )
        size = math.prod(map(len, self.vary.values())) * max(1, len(names)) * len(self.targets) * len(self.seeds)
        if size > MAX_TRIALS:
            values = {"size": size, "most": MAX_TRIALS}
            raise PydanticCustomError("experiment", "these are {size} trials; at most {most} are trained", values)
        unknown = [claim.of for claim in self.claims if claim.kind != "below" and not getattr(self.reported, claim.of)]
        if unknown:
            raise PydanticCustomError(
                "experiment",
                'a claim is about the {of} of the report, which "reported" does not have',
                {"of": unknown[0]},
            )
        if self.figure.type == "gaps" and set(self.targets) != {"noisy", "clean"}:
            raise PydanticCustomError("experiment", 'gaps need "targets": ["noisy", "clean"]', {})
        return self

    def quickly(self) -> Experiment:
        """Return the quick form."""
        quick = self.quick
        kept = [variant for variant in self.variants if quick.variants is None or variant.name in quick.variants]
        changes = {
            "set": {**self.set, **quick.set},
            "vary": {**self.vary, **quick.vary},
            "variants": tuple(variant.model_copy(update={"set": {**variant.set, **quick.set}}) for variant in kept),
            "seeds": quick.seeds or self.seeds,
        }
        return self.model_copy(update=changes)
