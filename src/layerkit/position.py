"""How far a training has come."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from layerkit.component import StrictModel

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Position(StrictModel):
    """Where a training stands between two steps.

    Together with the weights, the states of random generators and the optimizer's state this is all that the rest of a
    training depends on: its pairs are functions of seed, epoch and place.

    Attributes:
        epoch, batch: of the next step, both from 0.
        pictures: seen since the beginning.
        point_pictures, point_loss: pictures seen, and their losses added up, since the last point of the loss curve.
        metrics: bytes in the metrics file.
    """

    epoch: Count = 0
    batch: Count = 0
    pictures: Count = 0
    point_pictures: Count = 0
    point_loss: float = 0.0
    metrics: Count = 0
