"""``layerkit validate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit.cli.context import catalogue_of, name_of, read_spec

if TYPE_CHECKING:
    from layerkit.errors import Problem
    from layerkit.registry.catalogue import Catalogue


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def validate(ctx: click.Context, specs: tuple[str, ...], as_json: bool) -> None:
    """Check architecture files, or - for standard input: names, values, shapes and sizes. Nothing is built.

    Files of experiments are checked with the architectures of all their trials. JSON Schemas among the files, which
    editors use, are left out.
    """
    import json

    catalogue = catalogue_of(ctx)
    schemas: list[str] = []
    found: list[tuple[str, tuple[Problem, ...]]] = []
    for spec in specs:
        problems = _problems(spec, catalogue)
        if problems is None:
            schemas.append(spec)
        else:
            found.append((name_of(spec), problems))
    if as_json:
        rows = [
            {
                "file": spec,
                "valid": not problems,
                "problems": [problem.to_dict() | {"text": str(problem)} for problem in problems],
            }
            for spec, problems in found
        ]
        click.echo(json.dumps(rows))
    else:
        for spec in schemas:
            click.echo(f"{spec}: left out, since it is a JSON Schema for editors and not a network")
        for spec, problems in found:
            if not problems:
                click.echo(f"{spec}: valid")
            for problem in problems:
                click.echo(str(problem), err=True)
    ctx.exit(2 if any(problems for _, problems in found) else 0)


def _problems(spec: str, catalogue: Catalogue) -> tuple[Problem, ...] | None:
    """Return what is wrong with a file, or None where it is a JSON Schema."""
    from layerkit.errors import SpecError
    from layerkit.experiments.loading import is_experiment, load_experiment
    from layerkit.experiments.plan import plan
    from layerkit.spec.schema import is_schema

    try:
        read_spec(spec, catalogue)
    except SpecError as error:
        tree = _tree(spec)
        if is_schema(tree):
            return None
        if not is_experiment(tree):
            return error.problems
    else:
        return ()
    try:
        plan(load_experiment(spec), catalogue)
    except SpecError as error:
        return error.problems
    return ()


def _tree(spec: str) -> Any:
    """Return the JSON value in a file, or None if it cannot be read."""
    from pathlib import Path

    from layerkit.errors import SpecError
    from layerkit.spec import text
    from layerkit.spec.loading import read_bytes

    try:
        return text.parse(text.decode(read_bytes(Path(spec)), spec), spec)
    except SpecError:
        return None
