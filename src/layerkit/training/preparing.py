"""Makes all objects that a training needs from an architecture and the name of its data."""

from __future__ import annotations

from dataclasses import dataclass

from layerkit.contracts.module import Module
from layerkit.data.dataset import Dataset, TrainingPairs
from layerkit.data.pairs import seeded_generator
from layerkit.data.sources import load_dataset
from layerkit.denoising.denoiser import Denoiser
from layerkit.denoising.shared_denoiser import SharedDenoiser
from layerkit.distributed.group import Alone, Processes
from layerkit.errors import DataError
from layerkit.registry.catalogue import Catalogue
from layerkit.spec.architecture import Architecture
from layerkit.training.inspection import Inspector
from layerkit.training.reproducible_trainer import ReproducibleTrainer
from layerkit.training.run import Settings
from layerkit.training.shared_trainer import SharedTrainer
from layerkit.training.trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """The objects that a training needs.

    Attributes:
        trainer: takes the steps.
        inspector: of the trainer's network.
        dataset: of which ``pairs`` are the part to train on.
        denoiser: of the trainer's network, for validation.
    """

    trainer: Trainer
    inspector: Inspector
    dataset: Dataset
    pairs: TrainingPairs
    denoiser: Denoiser


def prepare(
    architecture: Architecture, network: Module, settings: Settings, catalogue: Catalogue, group: Processes | None
) -> Prepared:
    """Return the objects that the training of a network needs.

    Args:
        architecture: says how it is trained.
        network: built from it.
        settings: the data, and how they are used.
        catalogue: knows which package each layer came from.
        group: the processes that train together; None for this one alone.

    Raises:
        DataError: when there is nothing to train on.
        UserError: when several processes cannot train this network.
    """
    training, shape = architecture.trained, architecture.input.shape
    loss, optimizer = training.loss.build(), training.optimizer.build(network.param())
    optimizer.generator.manual_seed(seeded_generator(training.seed).initial_seed())
    schedule = training.schedule.build() if training.schedule else None
    if settings.reproducible:
        trainer: Trainer = ReproducibleTrainer(network, loss, optimizer, schedule, group or Alone())
    elif group is not None:
        trainer = SharedTrainer(network, loss, optimizer, schedule, group)
    else:
        trainer = Trainer(network, loss, optimizer, schedule)
    dataset = load_dataset(
        settings.data,
        shape,
        training.noise.build(),
        training.seed,
        training.samples,
        clean_targets=settings.clean_targets,
        noise_level=architecture.input.noise_level,
    )
    if dataset.train is None:
        raise DataError(f"{settings.data} has nothing to train on: {dataset.description}")
    denoiser = Denoiser(network, shape) if group is None else SharedDenoiser(network, shape, group)
    return Prepared(trainer, Inspector(network, loss, architecture, catalogue), dataset, dataset.train, denoiser)
