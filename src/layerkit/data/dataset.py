"""The data types of data sets: pairs for training, pictures for validation, and the request for a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from layerkit.contracts.noise import Noise


class TrainingPairs(Protocol):
    """Pairs (input, target) for training; ``len`` is the number of samples in an epoch."""

    chunk_size: int
    """Samples in a chunk; the last one of an epoch may have fewer."""

    def __len__(self) -> int: ...

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of one chunk, float32 (n, C, H, W), values 0..1.

        Noise may exceed this range. NaN in a target means that the value is unknown.
        """


class Validation(NamedTuple):
    """Noisy pictures and their references, float32 (N, C, H, W) each, values 0..1 (noise may exceed this range).

    Attributes:
        noisy: the pictures to be denoised.
        clean: the clean pictures; None where they are not known.
        noisy_again: if ``clean`` is None, the same scenes with independent noise, from which the quality can be
            estimated.
    """

    noisy: Tensor
    clean: Tensor | None
    noisy_again: Tensor | None = None

    @property
    def pictures(self) -> Tensor:
        """The noisy pictures, without the channel for the noise level, see :mod:`layerkit.data.levels`."""
        judge = self.noisy_again if self.clean is None else self.clean
        return self.noisy if judge is None else self.noisy[:, : judge.shape[1]]


@dataclass(frozen=True)
class Dataset:
    """A data set: pairs for training and pictures for validation.

    Either part may be None, when the source is a file that holds only the other part.

    Attributes:
        train: the pairs.
        validation: the pictures.
        description: one sentence that describes both.
        validation_description: one sentence that describes the pictures for validation; empty where there are none.
    """

    train: TrainingPairs | None
    validation: Validation | None
    description: str
    validation_description: str


@dataclass(frozen=True)
class Request:
    """The requirements of a network and its training for a data set.

    Attributes:
        shape: the shape of the network's input, (C, H, W).
        noise: the noise that is added to clean pictures; noisy shots and data files are noisy already.
        seed: decides places, noise and order of the training pairs, but not the validation pictures.
        samples: training pairs in an epoch; a data file with fewer pairs provides all it has.
        clean_targets: whether training uses clean targets instead of a second noisy picture.
        validation_samples: crops for validation; of a data file all validation pictures are used.
    """

    shape: tuple[int, int, int]
    noise: Noise
    seed: int
    samples: int
    clean_targets: bool = False
    validation_samples: int = 1000
