"""``layerkit validate``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of, name_of, read_spec


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def validate(ctx: click.Context, specs: tuple[str, ...], as_json: bool) -> None:
    """Check architecture files, or - for standard input: names, values, shapes and sizes. Nothing is built.

    JSON Schemas among the files, which editors use, are left out.
    """
    import json

    from layerkit.errors import Problem, SpecError

    catalogue = catalogue_of(ctx)
    schemas: list[str] = []
    found: list[tuple[str, tuple[Problem, ...]]] = []
    for spec in specs:
        try:
            read_spec(spec, catalogue)
            problems: tuple[Problem, ...] = ()
        except SpecError as error:
            if _holds_a_schema(spec):
                schemas.append(spec)
                continue
            problems = error.problems
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
            click.echo(f"{spec}: left out, since it is a JSON Schema for editors and no network")
        for spec, problems in found:
            if not problems:
                click.echo(f"{spec}: valid")
            for problem in problems:
                click.echo(str(problem), err=True)
    ctx.exit(2 if any(problems for _, problems in found) else 0)


def _holds_a_schema(spec: str) -> bool:
    from pathlib import Path

    from layerkit.errors import SpecError
    from layerkit.spec import text
    from layerkit.spec.loading import read_bytes
    from layerkit.spec.schema import is_schema

    try:
        return is_schema(text.parse(text.decode(read_bytes(Path(spec)), spec), spec))
    except SpecError:
        return False
