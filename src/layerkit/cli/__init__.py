"""The command line: each command parses its arguments, calls the packages below, and prints the result.

Commands are imported only when they are called, and so are large packages inside them: ``layerkit --help`` does not
import torch.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from layerkit.errors import LayerkitError, StoppedError, out_of_memory

COMMANDS = {
    "train": "Train a network on noisy pictures.",
    "evaluate": "Measure a trained network on pictures whose clean version is known.",
    "denoise": "Denoise pictures of any size with a trained network.",
    "serve": "Show a page on which pictures are denoised, in a browser on this computer.",
    "experiment": "Run experiments: sweeps of trainings, and a page with their figures.",
    "export": "Write a trained network for other programs: ONNX, torch.nn, model hubs.",
    "import": "Take weights that were trained in torch.nn.",
    "show": "Print a network as a table of its layers.",
    "explain": "Show one training step of a network with every number in sight.",
    "validate": "Check architecture files.",
    "profile": "Time every layer of a network in training.",
    "schema": "Write the JSON Schema of architecture files, for editors.",
    "docs": "Show the reference of layers and other components.",
    "plugins": "List the installed plugins and what they provide.",
    "new-plugin": "Write a new plugin package to start from.",
    "conformance": "Put registered components through the conformance battery.",
}
"""The name and the first line of help of every command, which is in the module of that name in ``commands``."""


def python_name(command: str) -> str:
    """Return the name of a command's module in ``commands``, and of the command in it: ``import_`` for ``import``."""
    return command.replace("-", "_") + ("_" if keyword.iskeyword(command) else "")


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called, not when its name is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        python = python_name(name)
        command: click.Command = getattr(importlib.import_module(f"layerkit.cli.commands.{python}"), python)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f'{error.message} Did you mean "{near[0]}"?', ctx) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--no-plugins", is_flag=True, help="Use only the built-in components.")
@click.option("--without", multiple=True, metavar="NAME", help="Leave out a plugin; may be given several times.")
@click.option("--strict-plugins", is_flag=True, help="Stop when any plugin cannot be loaded.")
@click.version_option(package_name="layerkit")
@click.pass_context
def layerkit(ctx: click.Context, no_plugins: bool, without: tuple[str, ...], strict_plugins: bool) -> None:
    """Networks in JSON, trained with hand-written gradients to denoise pictures.

    The environment variables LAYERKIT_NO_PLUGINS=1, LAYERKIT_WITHOUT=NAME,... and LAYERKIT_STRICT_PLUGINS=1 have the
    same effect as these options.
    """
    ctx.obj = {"no_plugins": no_plugins, "without": without, "strict_plugins": strict_plugins}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 2 for the user's mistakes, 1 for a run that failed."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        return layerkit.main(arguments, prog_name="layerkit", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StoppedError as stop:
        with suppress(OSError):  # a closed terminal is one of the reasons to stop
            click.echo(str(stop), err=True)
        return stop.exit_code
    except LayerkitError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except BrokenPipeError:
        # The reader of the output has ended, as in `| head`; writing the rest of the buffer must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        click.echo("error: not enough memory; use smaller batches, pictures or tiles, or a smaller network", err=True)
        return 1
