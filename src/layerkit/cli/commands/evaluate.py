"""``layerkit evaluate``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from layerkit.cli.context import catalogue_of, device_from, device_option, printer
from layerkit.distributed.launch import processes_of_torchrun

if TYPE_CHECKING:
    import torch

    from layerkit.distributed.group import Processes


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option(
    "--data",
    "--pictures",
    "data",
    default="photos",
    show_default=True,
    metavar="SOURCE",
    help="As for train; its validation part is used.",
)
@device_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def evaluate(ctx: click.Context, checkpoint: str, data: str, device: str, as_json: bool) -> None:
    """Compare noisy pictures, before and after the network in CHECKPOINT denoises them, with the clean pictures.

    Classical methods, tuned on the same pictures, are listed for comparison: Gaussian blur, non-local means and total
    variation; and BM3D, which takes minutes, if you have installed the package bm3d. For noisy shots without clean
    pictures all results are estimates.
    """
    group = processes_of_torchrun()
    with nullcontext() if group is None else group.ending_together():
        leads = group is None or group.rank == 0
        where = device_from(device, processes=group, say=leads and not as_json)
        _evaluate(ctx, checkpoint, data, as_json, group, where)


def _evaluate(
    ctx: click.Context, checkpoint: str, data: str, as_json: bool, group: Processes | None, device: torch.device
) -> None:
    """Measure, each process its part of the pictures, and print what comes out in rank 0."""
    import json
    from dataclasses import asdict

    from layerkit.checkpoints.checkpoint import load
    from layerkit.cli.tables import classical_results, quality_table
    from layerkit.data.sources import load_dataset
    from layerkit.denoising.baselines import installed_baselines
    from layerkit.denoising.denoiser import Denoiser
    from layerkit.denoising.evaluation import evaluate as measure
    from layerkit.denoising.shared_denoiser import SharedDenoiser
    from layerkit.errors import DataError

    loaded = load(checkpoint, catalogue=catalogue_of(ctx, notes=group is None or group.rank == 0), device=device)
    architecture = loaded.architecture
    given = architecture.input
    dataset = load_dataset(
        data, given.shape, architecture.build_noise(), seed=0, samples=1, noise_level=given.noise_level
    )
    if dataset.validation is None:
        raise DataError(
            f"{data} holds only pairs for training; give noisy and clean pictures to measure on, such as "
            '"noisy" and "clean" in an .npz file'
        )
    if group is None:
        denoiser = Denoiser(loaded.network, given.shape)
    else:
        group.check_same_data(dataset.validation.noisy)
        denoiser = SharedDenoiser(loaded.network, given.shape, group)
    result = measure(denoiser, *dataset.validation)
    if group is not None and group.rank:
        return
    baselines = classical_results(dataset.validation, printer(err=True), installed_baselines())
    if as_json:
        more = {"gain": result.gain, "baselines": list(map(asdict, baselines)), "data": dataset.validation_description}
        more["device"] = str(device)
        click.echo(json.dumps(asdict(result) | more))
        return
    click.echo(dataset.validation_description)
    printer().print(quality_table(result, "pictures", baselines))
