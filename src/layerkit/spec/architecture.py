"""The content of an architecture file, as frozen and strict models."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PrivateAttr, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from layerkit.builtin.layers.sequential import Sequential, SequentialSpec
from layerkit.contracts.fields import MAX_CHANNELS, MAX_SIZE
from layerkit.contracts.noise import Noise
from layerkit.contracts.registered import AnyLayer, AnyLoss, AnyNoise, AnyOptimizer, AnySchedule
from layerkit.contracts.specs import KindName, StrictModel
from layerkit.errors import UserError
from layerkit.spec.unread import UnknownNoise, UnreadTraining

FORMAT = 1

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Package = Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+_-]+$")]
Requires = dict[KindName, dict[Name, Package]]
"""The package that provided each component, by the component's kind and name, written as for pip: ``name==version``."""


class Input(StrictModel):
    """The pictures a network is declared for; a network of convolutions takes other sizes too."""

    channels: Annotated[int, Field(ge=1, le=MAX_CHANNELS, description="3 for colour, 1 for grey.")]
    height: Annotated[int, Field(ge=1, le=MAX_SIZE, description="Height of the training crops in pixels.")]
    width: Annotated[int, Field(ge=1, le=MAX_SIZE, description="Width of the training crops in pixels.")]

    noise_level: bool = Field(
        default=False,
        description="Whether the last of the channels tells the network how strong the noise is: it holds the standard "
        "deviation of the noise in every pixel, for values from 0 to 1.",
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width


class Training(StrictModel):
    """How the network is trained; the command line can override each value."""

    loss: AnyLoss = Field(description="The loss that the training minimizes.")
    optimizer: AnyOptimizer = Field(description="The rule by which each step changes the weights.")
    noise: AnyNoise = Field(description="The noise that the network learns to remove.")
    schedule: AnySchedule | None = Field(
        default=None, description="How the learning rate changes over all epochs; without a schedule it is constant."
    )
    batch_size: int = Field(default=4, ge=1, le=65_536, description="Pairs of pictures in one step.")
    epochs: int = Field(default=2, ge=1, le=1_000_000, description="How often the training goes through all pairs.")
    samples: int = Field(
        default=50_000,
        ge=1,
        le=100_000_000,
        description="Pairs in one epoch, where they are cut from pictures. A data set of pairs has its own number.",
    )
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="The seed of the weights, the crops, their order and the noise."
    )


class Architecture(StrictModel):
    """The content of an architecture file: a network and, if it is to be trained, how."""

    schema_: str | None = Field(
        default=None, alias="$schema", max_length=2048, description="The JSON Schema of this file, for editors."
    )
    format: Literal[1] = Field(description="The version of this file format.")
    name: str = Field(min_length=1, max_length=200, description="A short name.")
    description: str = Field(default="", max_length=20_000, description="What the network is for, in a few sentences.")
    input: Input = Field(description="The pictures the network is declared for.")
    layers: tuple[AnyLayer, ...] = Field(
        strict=False, min_length=1, max_length=10_000, description="The layers, first to last."
    )
    training: Training | None = Field(
        default=None,
        description="How the network is trained. With this block the output of the last layer must have the shape of "
        "the input, since the loss compares it with pictures of that shape. A JSON Schema cannot say so; "
        "`layerkit validate` checks it.",
    )
    requires: Requires | None = Field(
        default=None,
        description="The packages that provided the components when this was saved; layerkit writes it.",
        examples=[{"layer": {"conv2d": "layerkit==0.1.0"}}],
    )

    _unread_training: UnreadTraining | None = PrivateAttr(default=None)

    @field_validator("format", mode="before")
    @classmethod
    def _known_format(cls, value: Any) -> Any:
        # Pydantic accepts true and 1.0 for the literal 1.
        if value != FORMAT or type(value) is not int:
            raise PydanticCustomError("format", "this layerkit reads format {format}", {"format": FORMAT})
        return value

    @property
    def network(self) -> SequentialSpec:
        """All layers as one sequence."""
        return SequentialSpec(type="sequential", layers=self.layers)

    @property
    def unread_training(self) -> UnreadTraining | None:
        """The ``training`` block as plain data if it could not be read; None if it was read or there is none.

        This happens with a checkpoint whose block names a package that is not installed. Then ``training`` is None, and
        :meth:`to_json` writes the block back as it was.
        """
        return self._unread_training

    def with_unread_training(self, unread: UnreadTraining) -> Architecture:
        """Return the architecture with a block that cannot be read in place of ``training``."""
        copy = self.model_copy(update={"training": None})
        copy._unread_training = unread
        return copy

    @property
    def trained(self) -> Training:
        """How the network is trained.

        Raises:
            SpecError: when the ``training`` block cannot be read here; the message says which packages to install.
            UserError: when there is no such block.
        """
        if self.training is not None:
            return self.training
        if self._unread_training is not None:
            raise self._unread_training.error()
        raise UserError(
            f'the network "{self.name}" has no "training" block, so nothing says how to train it; '
            "add one as table1.json has"
        )

    def build_noise(self) -> Noise:
        """Return the noise that the network is trained to remove.

        Where that is not known, the returned noise raises a UserError when it is asked to draw, so that data that
        already are noisy can still be used.
        """
        unread = self._unread_training
        noise = self.training.noise if self.training else unread.noise if unread else None
        if noise is not None:
            return noise.build()
        if unread is not None:
            return UnknownNoise(unread.error())
        return UnknownNoise(
            UserError(
                f'the network "{self.name}" does not say which noise it was trained for; '
                "give data that come with noise of their own"
            )
        )

    def to_json(self) -> str:
        """Return the file's text, with every default written out."""
        absent = {name for name in ("schema_", "training", "requires") if getattr(self, name) is None}
        if self._unread_training is None:
            return self.model_dump_json(by_alias=True, indent=2, exclude=absent) + "\n"
        tree = self.model_dump(mode="json", by_alias=True, exclude=absent)
        tree["training"] = self._unread_training.tree
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def build(architecture: Architecture, seed: int = 0) -> Sequential:
    """Return the network that ``architecture`` declares; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    return architecture.network.build(architecture.input.shape, generator)
