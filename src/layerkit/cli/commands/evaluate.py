"""``layerkit evaluate``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of, printer


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def evaluate(ctx: click.Context, checkpoint: str, data: str, as_json: bool) -> None:
    """Compare noisy pictures, before and after the network in CHECKPOINT denoises them, with the clean pictures.

    Classical methods, tuned on the same pictures, are listed for comparison. For noisy shots without clean pictures the
    result is an estimate, for the network only.
    """
    import json
    from dataclasses import asdict

    from layerkit.checkpoints.checkpoint import load
    from layerkit.cli.tables import classical_results, quality_table
    from layerkit.data.sources import load_dataset
    from layerkit.denoising.denoiser import Denoiser
    from layerkit.denoising.evaluation import evaluate as measure
    from layerkit.errors import DataError

    loaded = load(checkpoint, catalogue=catalogue_of(ctx))
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
    result = measure(Denoiser(loaded.network, architecture.input.shape), *dataset.validation)
    baselines = classical_results(dataset.validation, printer(err=True))
    if as_json:
        more = {"gain": result.gain, "baselines": list(map(asdict, baselines)), "data": dataset.validation_description}
        click.echo(json.dumps(asdict(result) | more))
        return
    click.echo(dataset.validation_description)
    printer().print(quality_table(result, "pictures", baselines))
