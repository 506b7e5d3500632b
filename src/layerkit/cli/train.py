"""``layerkit train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit.cli.context import catalogue_of, overrides_from, set_option

if TYPE_CHECKING:
    from layerkit.architecture import Architecture


@click.command()
@click.argument("spec", type=click.Path())
@click.option(
    "--data",
    default="photos",
    show_default=True,
    metavar="SOURCE",
    help="photos: the photographs inside scikit-image and scikit-learn; or a folder of pictures, a folder with "
    "train_data.pkl and val_data.pkl, or an .npz file.",
)
@click.option("--epochs", type=int, help="Passes over all samples.")
@click.option("--batch-size", type=int, help="Pictures in one step.")
@click.option("--lr", type=float, help="Learning rate of the optimizer.")
@click.option("--samples", type=int, help="Pairs in one epoch, where they are cut from pictures.")
@click.option("--seed", type=int, help="Of the weights, the crops, the order and the noise.")
@click.option("--clean-targets", is_flag=True, help="Train with clean targets, for comparison with Noise2Noise.")
@set_option
@click.option("--output", type=click.Path(), help="Folder for the results; by default a new one in runs/.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors and the last table.")
@click.pass_context
def train(
    ctx: click.Context,
    spec: str,
    data: str,
    clean_targets: bool,
    assignments: tuple[str, ...],
    output: str | None,
    quiet: bool,
    **flags: Any,
) -> None:
    """Train the network in SPEC the Noise2Noise way: on noisy pictures, with other noisy pictures as targets.

    Writes the checkpoint, the resolved spec, the metrics, the loss curve and a montage into a folder.
    """
    from layerkit.cli.training import train_run
    from layerkit.errors import UserError
    from layerkit.spec import load_architecture

    catalogue = catalogue_of(ctx)
    paths = {"lr": "training.optimizer.lr"}
    named = {paths.get(flag, f"training.{flag}"): value for flag, value in flags.items()}
    architecture = load_architecture(spec, overrides=overrides_from(assignments, named), catalogue=catalogue)
    if architecture.training is None:
        raise UserError(f'{spec} has no "training" block, so nothing says how to train it; add one as table1.json has')
    train_run(architecture, data, clean_targets, _new_run(architecture, output), quiet)


def _new_run(architecture: Architecture, output: str | None):
    from layerkit.run import Run

    if output is None:
        return Run.create_unused("runs", architecture.name, architecture.to_json())
    return Run.create(output, architecture.to_json())
