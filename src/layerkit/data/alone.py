"""Training pairs from a single noisy picture: the picture with more noise, and the picture with less of it.

Noise2Noise (Lehtinen et al. 2018) needs two pictures of one scene with independent noise. One picture y = x + n
can be made into two with newly drawn noise e that is as strong as n:

    input y + a e        target y - e / a

Their noises are n + a e and n - e / a. They are uncorrelated, since the mean of (n + a e)(n - e / a) is that of
n^2 - e^2, which is 0; for Gaussian noise they are therefore independent (Pang, Zheng, Quan, Ji 2021, "Recorrupted-to-
recorrupted: unsupervised deep learning for image denoising", theorem 1). Where the strength depends on brightness, as
that of photons does, e is as strong as n in each pixel.

With a smaller a the input is closer to the picture itself, but the target, and so each step of the training, has more
noise. Therefore every crop is used twice, once with e and once with -e: the added noise of the two targets cancels,
except for the part that the network's output depends on, and the loss becomes Stein's unbiased estimate of the error
(Ramani, Blu, Unser 2008, "Monte-Carlo SURE: a black-box optimization of regularization parameters for general denoising
algorithms").
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from layerkit.data.dataset import Dataset, Request
from layerkit.data.noise_model import NoiseModel, estimate_noise_model
from layerkit.data.pairs import chunk_size, seeded_generator
from layerkit.data.pictures import read_picture, unit, with_channels
from layerkit.errors import DataError

MORE_NOISE = 0.3
"""The factor a of the noise that is added to inputs: their noise is 4 % stronger than the picture's."""
FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))


class RecorruptedCrops:
    """Pairs of crops of one noisy picture; see :class:`layerkit.data.dataset.TrainingPairs`.

    Args:
        pixels: the picture (C, H, W), values from 0 to 255 as uint8 or any floats; if it is smaller than a crop, it is
            extended by its mirror image.
        noise: of the picture.
        shape: of a crop, (C, H, W).
        seed: decides places and noise, with the epoch.
        samples: crops in an epoch.
    """

    def __init__(self, pixels: Tensor, noise: NoiseModel, shape: tuple[int, int, int], seed: int, samples: int) -> None:
        self.pixels = continued(pixels, shape[1], shape[2])
        self.noise, self.shape, self.seed, self.samples = noise, shape, seed, samples
        self.chunk_size = 2 * max(1, chunk_size(shape) // 2)  # even: both uses of a crop are in one chunk

    def __len__(self) -> int:
        return self.samples

    def chunk(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of one chunk, float32 (n, C, H, W), values from 0 to 1 and their noise."""
        count = min(self.chunk_size, self.samples - number * self.chunk_size)
        generator = seeded_generator(self.seed, epoch, number)
        crops = torch.stack([self._crop(generator) for _ in range((count + 1) // 2)])
        drawn = torch.randn(crops.shape, generator=generator).mul_(self.noise.deviation(crops))
        noise = torch.stack([drawn, -drawn], 1)
        inputs, targets = crops[:, None] + MORE_NOISE * noise, crops[:, None] - noise / MORE_NOISE
        return unit(inputs.flatten(0, 1)[:count]), unit(targets.flatten(0, 1)[:count])

    def _crop(self, generator: torch.Generator) -> Tensor:
        """Return a crop at a random place, mirrored and turned at random, float32 values from 0 to 255."""
        _, height, width = self.shape
        turned, flip, down, right = torch.rand(4, generator=generator).tolist()
        pixels = self.pixels.mT if turned < 0.5 and height == width else self.pixels
        top, left = int(down * (pixels.shape[1] - height + 1)), int(right * (pixels.shape[2] - width + 1))
        crop = pixels[:, top : top + height, left : left + width]
        return crop.flip(FLIPS[int(flip * len(FLIPS))]).float()


def continued(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return a picture (C, H, W) that is extended to this size by mirror images at the bottom and the right."""
    down, across = (
        _there_and_back(length, wanted) for length, wanted in zip(pixels.shape[1:], (height, width), strict=True)
    )
    return pixels[:, down[:, None], across] if (len(down), len(across)) != tuple(pixels.shape[1:]) else pixels


def _there_and_back(length: int, wanted: int) -> Tensor:
    """Return places 0, 1, ..., length - 1, length - 1, ..., 1, 0, 0, 1, ..., at least all of them."""
    places = torch.arange(max(length, wanted)) % (2 * length)
    return torch.minimum(places, 2 * length - 1 - places)


def alone(path: Path, request: Request) -> Dataset:
    """Return the pairs that one noisy picture gives. Only the noise described at the top of this file is added.

    Raises:
        DataError: when the file is no picture, or the noise of the picture cannot be estimated.
    """
    pixels = with_channels(read_picture(path).pixels, request.shape[0])
    noise = estimate_noise_model(pixels)
    if noise is None:
        raise DataError(f"{path}: {pixels.shape[1]} x {pixels.shape[2]} pixels are too few to estimate their noise")
    pairs = RecorruptedCrops(pixels, noise, request.shape, request.seed, request.samples)
    return Dataset(pairs, None, f"random crops of {path.name} alone ({noise})", "")
