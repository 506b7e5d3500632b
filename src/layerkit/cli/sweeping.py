"""Runs experiments from their files, and writes the page with the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click
import torch

from layerkit.cli.trials import sweep_display
from layerkit.data.crops import PictureCrops
from layerkit.data.dataset import Dataset
from layerkit.data.sources import fingerprint, load_dataset
from layerkit.errors import UserError
from layerkit.experiments.loading import ExperimentFile, load_experiment
from layerkit.experiments.plan import Trial, plan
from layerkit.experiments.report.page import write_page
from layerkit.experiments.report.section import Outcome, Section
from layerkit.experiments.store import Store
from layerkit.experiments.sweep import Planned, Sweep, wanted
from layerkit.registry.catalogue import Catalogue
from layerkit.training.interruption import going_on_with


def run_experiments(
    files: Sequence[str],
    data: str,
    store: Store,
    catalogue: Catalogue,
    *,
    quick: bool,
    redraw: bool,
    quiet: bool,
    command: str,
    device: torch.device,
) -> None:
    """Train the trials that have no result yet, and write the page.

    Args:
        files: the files of the experiments, in the order of the page.
        data: the name of the data set.
        store: the place for all results.
        catalogue: the components that may be named.
        quick: whether to train the short forms.
        redraw: whether to write the page without training.
        quiet: whether to print only the page's name.
        command: the command that continues after a stop, for the message.
        device: where the networks are trained.

    Raises:
        LayerkitError: as :class:`layerkit.experiments.sweep.Sweep` does.
    """
    experiments = _read(files)
    plans = [plan(experiment, catalogue, quick) for experiment in experiments]
    data_key = fingerprint(data)
    dataset = _dataset(data, plans[0][0])
    left_out = [_why_left_out(experiment, dataset) for experiment in experiments]
    if not redraw:
        planned = [
            Planned(file.experiment.name, {trial.key(data_key): trial for trial in trials})
            for file, trials in zip(experiments, plans, strict=True)
        ]
        with going_on_with(command):
            _train(store, data, catalogue, list(zip(planned, left_out, strict=True)), quiet, device)
    sections = []
    for experiment, trials, why in zip(experiments, plans, left_out, strict=True):
        outcomes = [Outcome(trial, store.result(trial.key(data_key), trial.timed)) for trial in trials]
        sections.append(Section(experiment.experiment, outcomes, why, short=quick))
    write_page(store, sections, dataset, data_key, quick)
    click.echo(f"written: {store.page}")


def _train(
    store: Store,
    data: str,
    catalogue: Catalogue,
    work: Sequence[tuple[Planned, str]],
    quiet: bool,
    device: torch.device,
) -> None:
    """Train the trials without a result of each experiment, unless its text says why it is left out."""
    needed = wanted(planned for planned, why in work if not why)

    def settled() -> int:
        return sum(store.settled(key, timed) for key, timed in needed.items())

    with sweep_display(len(needed), settled, quiet) as display:
        if done := settled():
            display.says(f"{done} of {len(needed)} trainings have their results")
        sweep = Sweep(store, data, catalogue, display, device)
        for planned, why in work:
            display.experiment = planned.name
            if why:
                display.says(f"{planned.name}: left out: {why}")
            else:
                # A trial that any of the experiments times is timed now, so that it need not be trained twice.
                trials = {key: replace(trial, timed=needed[key]) for key, trial in planned.trials.items()}
                sweep.work(Planned(planned.name, trials))


def _read(files: Sequence[str]) -> list[ExperimentFile]:
    experiments = [load_experiment(file) for file in files]
    names = [experiment.experiment.name for experiment in experiments]
    for name in names:
        if names.count(name) > 1:
            where = " and ".join(str(given.path) for given in experiments if given.experiment.name == name)
            raise UserError(f'two experiments are named "{name}": {where}; rename one')
    return experiments


def _dataset(data: str, trial: Trial) -> Dataset:
    architecture, training = trial.architecture, trial.architecture.trained
    given = architecture.input
    return load_dataset(
        data, given.shape, training.noise.build(), training.seed, training.samples, noise_level=given.noise_level
    )


def _why_left_out(file: ExperimentFile, dataset: Dataset) -> str:
    """Return why an experiment cannot be run on a data set, or nothing when it can."""
    if file.experiment.pictures_only and not isinstance(dataset.train, PictureCrops):
        return "it needs clean pictures that noise is added to, but these data are noisy already"
    return ""
