"""Functions that several commands share: the catalogue with its notes, overrides, and printing."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from layerkit.distributed.group import Processes
    from layerkit.registry.catalogue import Catalogue
    from layerkit.spec.architecture import Architecture

STDIN = "<stdin>"
"""The name of standard input in messages."""


def catalogue_of(ctx: click.Context, notes: bool = True) -> Catalogue:
    """Return the catalogue that the options of the command line ask for, and print which plugins did not load."""
    from layerkit.registry.catalogue import installed
    from layerkit.registry.discovery import PluginSettings

    given, environment = ctx.obj, PluginSettings.from_environment()
    catalogue = installed(
        PluginSettings(
            enabled=environment.enabled and not given["no_plugins"],
            without=environment.without | set(given["without"]),
            strict=environment.strict or given["strict_plugins"],
        )
    )
    for plugin in catalogue.failures() if notes else ():
        click.echo(f"note: {plugin} is not used: {plugin.reason}", err=True)
    return catalogue


def command_line(ctx: click.Context) -> str:
    """Return the command that was given, quoted for a shell."""
    return shlex.join(_words(ctx))


def _words(ctx: click.Context) -> list[str]:
    words = [*(_words(ctx.parent) if ctx.parent else ()), str(ctx.info_name)]
    for param in ctx.command.params:
        if ctx.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[param.name]
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(param, click.Argument):
            words += map(str, values)
        elif isinstance(param, click.Option) and param.is_flag:
            words.append(param.opts[0])
        else:
            words += [word for each in values for word in (param.opts[0], str(each))]
    return words


def printer(*, err: bool = False) -> Console:
    """Return a rich console that writes to standard output, or to standard error."""
    from rich.console import Console

    return Console(stderr=err, highlight=False)


def read_spec(
    spec: str, catalogue: Catalogue, overrides: Mapping[str, Any] | None = None, data: str | None = None
) -> Architecture:
    """Return the architecture in a file, or in standard input where ``spec`` is ``-``.

    Raises:
        SpecError: with every mistake that was found.
        DataError: when there are no such ``data``; see :func:`layerkit.load_architecture`.
    """
    from layerkit.spec.loading import load_architecture, read_architecture

    if spec != "-":
        return load_architecture(spec, overrides=overrides, catalogue=catalogue, data=data)
    return read_architecture(_standard_input(), STDIN, overrides=overrides, catalogue=catalogue, data=data)


def name_of(spec: str) -> str:
    """Return the name in messages of a file, or of standard input where ``spec`` is ``-``."""
    return STDIN if spec == "-" else spec


def _standard_input() -> str:
    from layerkit.errors import Problem, SpecError
    from layerkit.spec import text

    try:
        if sys.stdin is None:
            raise OSError("it is closed")
        content = sys.stdin.buffer.read(text.MAX_BYTES + 1)
    except OSError as error:
        raise SpecError((Problem(f"cannot be read: {error.strerror or error}", source=STDIN),)) from None
    return text.decode(content, STDIN)


def set_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--set path=value`` to a command."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help="Replace a value of the spec, such as training.optimizer.lr=0.5; may be given several times.",
    )(function)


def device_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--device NAME`` to a command."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="What computes: the processor, or a GPU; auto is the GPU where there is one for CUDA.",
    )(function)


def device_from(name: str, *, processes: Processes | None = None, say: bool = True) -> torch.device:
    """Return the device of a name, and print what it is, if ``say``.

    Several processes compute on the processor, since the messages between them are made for that.

    Raises:
        DeviceError: when there is no such device.
    """
    from layerkit.devices import AUTO, described, device_named
    from layerkit.errors import DeviceError

    if processes is not None and name == AUTO:
        name = "cpu"
    device = device_named(name)
    if processes is not None and device.type != "cpu":
        raise DeviceError(f"several processes under torchrun compute on the processor, not on {device}; take cpu")
    if say:
        click.echo(f"on {described(device)}")
    return device


def overrides_from(assignments: Iterable[str], flags: dict[str, Any]) -> dict[str, Any]:
    """Return the values to replace, by path; options that were not given are None and left out."""
    from layerkit.spec.overrides import parse_override

    overrides = dict(map(parse_override, assignments))
    return overrides | {path: value for path, value in flags.items() if value is not None}
