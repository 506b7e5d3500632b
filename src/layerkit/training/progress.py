"""The progress of a training: its position between two steps, and its loss so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from layerkit.contracts.specs import StrictModel

PICTURES_A_POINT = 1_000
"""The number of pictures over which the loss is averaged for one point of the curve."""

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0)]


class Position(StrictModel):
    """The position of a training between two steps, as a checkpoint keeps it.

    The rest of a training depends only on this, the weights, the states of random generators and the optimizer's state,
    because its pairs are functions of seed, epoch and position.

    Attributes:
        epoch, batch: the numbers of the next step's epoch and mini-batch, both from 0.
        pictures: the number of pictures seen since the beginning.
        point_pictures, point_loss: the pictures seen since the last point of the loss curve, and the sum of their
            losses.
        metrics: the size of the metrics file in bytes.
        metrics_sha256: the checksum of the metrics file; empty in a checkpoint of an older layerkit.
        seconds: the time of training since the beginning, without validation and interruptions.
        epoch_seconds: the part of this time that belongs to the epoch of the next step.
        settings: what the run was started with besides its spec, which a checkpoint has; empty in one of an older
            layerkit.
    """

    epoch: Count = 0
    batch: Count = 0
    pictures: Count = 0
    point_pictures: Count = 0
    point_loss: float = 0.0
    metrics: Count = 0
    metrics_sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    seconds: Seconds = 0.0
    epoch_seconds: Seconds = 0.0
    settings: dict[str, str | bool] = Field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A point of the loss curve: pictures seen since the beginning, and the mean loss of those since the last point."""

    pictures: int
    loss: float


class LossCurve:
    """The loss against the pictures seen, the report's Fig. 1.

    Args:
        points: the points of an earlier part of the training.
        pictures: the number of pictures seen since the beginning.
        point_pictures, point_loss: the pictures seen since the last point, and the sum of their losses.
    """

    def __init__(
        self, points: Iterable[Point] = (), pictures: int = 0, point_pictures: int = 0, point_loss: float = 0.0
    ) -> None:
        self.points = list(points)
        self.pictures, self.point_pictures, self.point_loss = pictures, point_pictures, point_loss

    def add(self, loss: float, pictures: int) -> Point | None:
        """Add the mean loss of a mini-batch; return the point if one is completed, otherwise None."""
        self.pictures += pictures
        self.point_pictures += pictures
        self.point_loss += loss * pictures
        if self.point_pictures < PICTURES_A_POINT:
            return None
        point = Point(self.pictures, self.point_loss / self.point_pictures)
        self.points.append(point)
        self.point_pictures, self.point_loss = 0, 0.0
        return point
