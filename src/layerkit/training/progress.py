"""How far a training has come: its place between two steps, and its loss on the way there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from layerkit.contracts.specs import StrictModel

PICTURES_A_POINT = 1_000
"""Pictures over which the loss is averaged for one point of the curve."""

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0)]


class Position(StrictModel):
    """Where a training stands between two steps, as a checkpoint keeps it.

    Together with the weights, the states of random generators and the optimizer's state this is all that the rest of a
    training depends on: its pairs are functions of seed, epoch and place.

    Attributes:
        epoch, batch: of the next step, both from 0.
        pictures: seen since the beginning.
        point_pictures, point_loss: pictures seen, and their losses added up, since the last point of the loss curve.
        metrics: bytes in the metrics file.
        metrics_sha256: their checksum, which a checkpoint has; empty in one of an older layerkit.
        seconds: of training since the beginning, without validation; an interruption does not count.
        epoch_seconds: of these, those of the epoch that the next step belongs to.
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
        points: those that an earlier part of the training has made.
        pictures: seen since the beginning.
        point_pictures, point_loss: of those, the pictures since the last point, and their losses added up.
    """

    def __init__(
        self, points: Iterable[Point] = (), pictures: int = 0, point_pictures: int = 0, point_loss: float = 0.0
    ) -> None:
        self.points = list(points)
        self.pictures, self.point_pictures, self.point_loss = pictures, point_pictures, point_loss

    def add(self, loss: float, pictures: int) -> Point | None:
        """Add a batch's mean loss, and return the point that it completes, if it does."""
        self.pictures += pictures
        self.point_pictures += pictures
        self.point_loss += loss * pictures
        if self.point_pictures < PICTURES_A_POINT:
            return None
        point = Point(self.pictures, self.point_loss / self.point_pictures)
        self.points.append(point)
        self.point_pictures, self.point_loss = 0, 0.0
        return point
