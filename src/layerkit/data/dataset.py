"""What a data set is: pairs for training, pictures for validation; and what is asked of it."""

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

        Noise may reach beyond, and NaN in a target stands for what is unknown.
        """


class Validation(NamedTuple):
    """Noisy pictures and what they are judged by, float32 (N, C, H, W) each, values 0..1 (noise may reach beyond).

    Attributes:
        noisy: the pictures to be denoised.
        clean: the clean ones; None where they are not known.
        noisy_again: where they are not known, the same scenes with independent noise, from which the quality can be
            estimated.
    """

    noisy: Tensor
    clean: Tensor | None
    noisy_again: Tensor | None = None

    @property
    def pictures(self) -> Tensor:
        """The noisy pictures, without channels that only a network is given; see :mod:`layerkit.data.levels`."""
        judge = self.noisy_again if self.clean is None else self.clean
        return self.noisy if judge is None else self.noisy[:, : judge.shape[1]]


@dataclass(frozen=True)
class Dataset:
    """A data set: pairs for training and pictures for validation.

    Either part may be missing, when the source is a file that holds only the other.

    Attributes:
        train: the pairs.
        validation: the pictures.
        description: one sentence that says what both are.
        validation_description: one that says what the pictures for validation are; empty where there are none.
    """

    train: TrainingPairs | None
    validation: Validation | None
    description: str
    validation_description: str


@dataclass(frozen=True)
class Request:
    """What a network and its training ask of a data set.

    Attributes:
        shape: the network's input, (C, H, W).
        noise: what makes clean pictures noisy; noisy shots and data files come with noise of their own.
        seed: decides places, noise and order of the training pairs, and nothing of the validation pictures.
        samples: training pairs in an epoch; a data file that holds fewer gives as many as it has.
        clean_targets: whether training may see clean targets, instead of a second noisy picture.
        validation_samples: crops for validation; a data file's validation pictures are always all used.
    """

    shape: tuple[int, int, int]
    noise: Noise
    seed: int
    samples: int
    clean_targets: bool = False
    validation_samples: int = 1000
