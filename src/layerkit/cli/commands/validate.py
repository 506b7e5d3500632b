"""``layerkit validate``."""

from __future__ import annotations

import click

from layerkit.cli.context import catalogue_of


@click.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def validate(ctx: click.Context, specs: tuple[str, ...], as_json: bool) -> None:
    """Check architecture files: names, values, shapes and sizes. Nothing is built."""
    import json

    from layerkit.errors import SpecError
    from layerkit.spec.loading import load_architecture

    catalogue = catalogue_of(ctx)
    results = []
    for spec in specs:
        try:
            load_architecture(spec, catalogue=catalogue)
            results.append({"file": spec, "valid": True, "problems": []})
        except SpecError as error:
            problems = [problem.to_dict() | {"text": str(problem)} for problem in error.problems]
            results.append({"file": spec, "valid": False, "problems": problems})
    if as_json:
        click.echo(json.dumps(results))
    else:
        for result in results:
            if result["valid"]:
                click.echo(f"{result['file']}: valid")
            for problem in result["problems"]:
                click.echo(problem["text"], err=True)
    ctx.exit(0 if all(result["valid"] for result in results) else 2)
