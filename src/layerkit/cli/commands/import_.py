"""``layerkit import``."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.context import catalogue_of, overrides_from, read_spec, set_option


@click.command("import")
@click.argument("weights", type=click.Path())
@click.argument("spec", type=click.Path())
@set_option
@click.option("--output", required=True, type=click.Path(dir_okay=False), help="Checkpoint to write.")
@click.option("--overwrite", is_flag=True, help="Replace the checkpoint if it is there already.")
@click.pass_context
def import_(
    ctx: click.Context, weights: str, spec: str, assignments: tuple[str, ...], output: str, overwrite: bool
) -> None:
    """Put WEIGHTS, a state dict of torch.nn, into the network that SPEC declares.

    WEIGHTS is a .safetensors file, or a .pt file with nothing but a state dict. The layers must be those of SPEC in the
    same order; their names may be others.
    """
    from layerkit.checkpoints.checkpoint import save
    from layerkit.errors import RunError, UserError
    from layerkit.exchange.weights import assign, read_state
    from layerkit.spec.architecture import build

    target = Path(output)
    if target.exists() and not overwrite:
        raise UserError(f"{target} is there already; choose another with --output, or replace it with --overwrite")
    architecture = read_spec(spec, catalogue_of(ctx), overrides_from(assignments, {}))
    network = build(architecture, seed=0)
    imported = assign(network, read_state(Path(weights)))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{target} cannot be written: {error.strerror or error}") from error
    save(target, network, architecture)
    renamed = {name: theirs for name, theirs in imported.names.items() if name != theirs}
    for name, theirs in renamed.items():
        click.echo(f"  {theirs} -> {name}")
    click.echo(f"{len(imported.names)} tensors, {len(renamed)} of them under other names; written: {target}")
