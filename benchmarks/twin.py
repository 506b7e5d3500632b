"""Table I in layerkit and in torch.nn, trained in the same way: the same weights to begin with, the same batches."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.networks import architectures, rival_step, twin_of
from benchmarks.steps import fastest_sgd
from layerkit import Denoiser, Trainer, build
from layerkit.data.pairs import batches
from layerkit.data.sources import PHOTOS, load_dataset
from layerkit.denoising.evaluation import denoise_unit
from layerkit.denoising.metrics import measure

LAST = 5_000
"""Pairs at the end over which the training loss is averaged."""


def train_both(name: str, threads: int, samples: int, epochs: int) -> list[dict[str, Any]]:
    """Return, for the noisy pictures, for layerkit and for torch.nn, the quality after training and what it took."""
    torch.set_num_threads(threads)
    architecture = architectures()[name]
    training = architecture.training
    dataset = load_dataset(
        PHOTOS, architecture.input.shape, training.noise.build(), training.seed, samples, clean_targets=False
    )
    network, twin = build(architecture, seed=0), twin_of(architecture)
    own = Trainer(network, training.loss.build(), training.optimizer.build(network.param()))
    steps = {
        "layerkit": own.step,
        "torch.nn, channels-last": rival_step(
            twin, channels_last=True, compiled=False, sgd=fastest_sgd(architecture), lr=training.optimizer.lr
        ),
    }
    seconds, losses = dict.fromkeys(steps, 0.0), {who: [] for who in steps}
    for epoch in range(epochs):
        for noisy, target in batches(dataset.train, epoch, training.batch_size):
            for who, step in steps.items():
                start = time.perf_counter()
                losses[who].append(step(noisy, target))
                seconds[who] += time.perf_counter() - start
    noisy, clean = dataset.validation.noisy, dataset.validation.clean
    with torch.no_grad():
        twins = torch.cat([twin(part) for part in noisy.split(100)])
    pictures = {
        "layerkit": denoise_unit(Denoiser(network, architecture.input.shape), noisy),
        "torch.nn, channels-last": twins,
    }
    last = LAST // training.batch_size
    rows = [{"who": "noisy", "pairs": 0, "seconds": 0.0, "loss": None, "quality": measure(noisy, clean)}]
    for who in steps:
        rows.append(
            {
                "who": who,
                "pairs": samples * epochs,
                "seconds": seconds[who],
                "loss": sum(losses[who][-last:]) / len(losses[who][-last:]),
                "quality": measure(pictures[who], clean),
            }
        )
    return rows
