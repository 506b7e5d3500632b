"""``layerkit train``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from layerkit.cli.context import (
    catalogue_of,
    device_from,
    device_option,
    name_of,
    overrides_from,
    read_spec,
    set_option,
)
from layerkit.data.sources import HELP
from layerkit.distributed.launch import TIMEOUT, processes_of_torchrun, restarts
from layerkit.training.save_interval import DEFAULT_MINUTES, SaveInterval

if TYPE_CHECKING:
    import torch

    from layerkit.distributed.group import Processes
    from layerkit.registry.catalogue import Catalogue
    from layerkit.training.run import Run

FLAGS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "lr": "training.optimizer.lr",
    "samples": "training.samples",
    "seed": "training.seed",
}
"""The value of the spec that each short option replaces."""
REMEMBERED = {*FLAGS, "spec", "data", "clean_targets", "reproducible", "assignments", "output"} - {"epochs"}
"""The options that a run stores, so that they cannot be given with --resume."""


@click.command()
@click.argument("spec", type=click.Path(), required=False)
@click.option(
    "--data",
    "--pictures",
    "data",
    default="photos",
    show_default=True,
    metavar="SOURCE",
    help=f"One of these: {HELP}.",
)
@click.option(
    "--epochs",
    type=int,
    help="Passes over all pairs. With --resume the new total; a schedule and an annealed loss are stretched to it.",
)
@click.option("--batch-size", type=int, help="Pairs of pictures in one step.")
@click.option("--lr", type=float, help="Learning rate of the optimizer.")
@click.option("--samples", type=int, help="Pairs in one epoch, where they are cut from pictures.")
@click.option("--seed", type=int, help="The seed of the weights, the crops, their order and the noise.")
@click.option("--clean-targets", is_flag=True, help="Train with clean targets, for comparison with Noise2Noise.")
@click.option(
    "--reproducible",
    is_flag=True,
    help="The same bits on any number of processes: gradients of slices of a fixed size are summed in their order.",
)
@set_option
@click.option("--output", type=click.Path(), help="Folder for the results; by default a new one in runs/.")
@click.option("--resume", type=click.Path(), metavar="RUN", help="Continue the run in this folder, instead of a SPEC.")
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(min=0),
    default=DEFAULT_MINUTES,
    show_default=True,
    help="Save at least this often, also in the middle of an epoch.",
)
@click.option("--checkpoint-steps", type=click.IntRange(min=1), help="Save also after this many steps.")
@click.option(
    "--process-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Under torchrun, how long processes wait for one another before they end.",
)
@device_option
@click.option(
    "--precision",
    type=click.Choice(["float32", "tf32"]),
    default="float32",
    show_default=True,
    help="How precisely a GPU multiplies: with all bits of single precision, or with the 11 that TF32 keeps.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors and the last table.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    resume: str | None,
    checkpoint_minutes: float,
    checkpoint_steps: int | None,
    process_timeout: float,
    device: str,
    precision: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Train the network in SPEC with Noise2Noise: on noisy pictures, with other noisy pictures as targets.

    SPEC is a file, or - for standard input; without it the network that comes with layerkit is trained.

    Writes the checkpoint, the resolved spec, the metrics, the loss curve and a montage into a folder. To continue a
    training that was stopped, use --resume or give the same command again; the result is the same, bit for bit. Ctrl-C,
    SIGTERM and a closed terminal save before they stop (exit codes 130, 143 and 129).

    Under torchrun several processes take each step together, as in: torchrun --nproc-per-node 2 -m layerkit train SPEC
    """
    _check_usage(ctx, resume)
    group = processes_of_torchrun(process_timeout)
    leads = group is None or group.rank == 0
    with nullcontext() if group is None else group.ending_together():
        from layerkit.devices import check_precision, computing_in

        where = device_from(device, processes=group, say=leads and not quiet)
        check_precision(precision, where)
        if group is None or leads:
            with computing_in(precision):
                _lead(ctx, resume, SaveInterval(checkpoint_steps, checkpoint_minutes), quiet, options, group, where)
        else:
            from layerkit.cli.training import follow_run

            follow_run(group, catalogue_of(ctx, notes=False))


def _lead(
    ctx: click.Context,
    resume: str | None,
    save_interval: SaveInterval,
    quiet: bool,
    options: dict[str, Any],
    group: Processes | None,
    device: torch.device,
) -> None:
    """Train in the run's folder, alone or as rank 0 of a group."""
    from layerkit.cli.training import train_run
    from layerkit.training.run import Run

    catalogue = catalogue_of(ctx)
    if resume is not None:
        with Run.open(resume) as run:
            train_run(run, catalogue, save_interval, options["epochs"], quiet, group, device)
        return
    if options["spec"] is None:
        from layerkit.spec.loading import DEFAULT

        options["spec"] = str(DEFAULT)
        if not quiet:
            click.echo("no SPEC is given, so the network that comes with layerkit is trained")
    with _started(catalogue, **options) as run:
        train_run(run, catalogue, save_interval, None, quiet, group, device)


def _check_usage(ctx: click.Context, resume: str | None) -> None:
    spec = ctx.params["spec"]
    if resume is None:
        if spec is not None and os.path.isdir(spec):
            raise click.UsageError(
                f"{spec}: cannot be read: Is a directory; to train on the pictures in it: --pictures {spec}"
            )
        return
    given = [
        param
        for param in ctx.command.params
        if param.name in REMEMBERED and ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        name = "/".join(given[0].opts) if isinstance(given[0], click.Option) else "SPEC"
        raise click.UsageError(f"{name} cannot be given with --resume; the run has its own. Only --epochs may change.")


def _started(
    catalogue: Catalogue,
    spec: str,
    data: str,
    clean_targets: bool,
    reproducible: bool,
    assignments: tuple[str, ...],
    output: str | None,
    **flags: Any,
) -> Run:
    """Return a new run, or the existing run of the same command."""
    from layerkit.data.sources import anywhere
    from layerkit.errors import UserError
    from layerkit.spec.requirements import with_requirements
    from layerkit.training.run import Run, Settings

    # The run may be continued from another working directory.
    settings = Settings(data=anywhere(data), clean_targets=clean_targets, reproducible=reproducible)
    overrides = overrides_from(assignments, {FLAGS[flag]: value for flag, value in flags.items()})
    architecture = read_spec(spec, catalogue, overrides, settings.data)
    try:
        _ = architecture.trained  # raises an error, if necessary, before a folder is made
    except UserError as error:
        raise UserError(f"{name_of(spec)}: {error}") from None
    architecture = with_requirements(architecture, catalogue)
    if output is None:
        return Run.start_in("runs", architecture, settings)
    # A process may be killed when all is done, and before it has said so.
    return Run.start(output, architecture, settings, finished=restarts() > 0)
