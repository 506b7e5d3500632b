"""What gradcheck, opcheck and the kit say about the galleries; run as a program, this writes it into docs/foreign.md.

The tests compute it again but for the column of opcheck, which takes minutes.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from exhibits import Exhibit
from gallery_calls import CALLS
from gallery_memory import MEMORY
from gallery_numbers import NUMBERS
from torch import Tensor

from layerkit.testing.foreign.target import target_of, target_of_pair
from layerkit.testing.instruments.observation import settings_put_back

DOCUMENT = Path(__file__).parents[3] / "docs" / "foreign.md"
BEGIN, END = "<!-- the gallery begins -->", "<!-- the gallery ends -->"
EXHIBITS = {exhibit.name: exhibit for exhibit in (*MEMORY, *CALLS, *NUMBERS)}


def asked(exhibit: Exhibit) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return the wrong function of an exhibit, and inputs as gradcheck wants them."""
    inputs = exhibit.inputs()
    wrong = exhibit.wrong
    if exhibit.kind == "pair":
        target = target_of_pair(*wrong, inputs, False)
    else:
        target = target_of(
            wrong() if isinstance(wrong, type) and issubclass(wrong, torch.nn.Module) else wrong, inputs, {}
        )
    values = [argument.example for argument in target.arguments]
    given = [v.detach().clone().requires_grad_() if v.is_floating_point() else v for v in values]
    return target.function, tuple(given)


def gradcheck_catches(exhibit: Exhibit) -> bool:
    """Return whether torch.autograd.gradcheck, as it is called by default, finds anything."""
    function, inputs = asked(exhibit)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings(), settings_put_back():
            warnings.simplefilter("ignore")
            return not torch.autograd.gradcheck(function, inputs)
    except Exception:
        return True


def opcheck_catches(exhibit: Exhibit) -> bool:
    """Return whether torch.library.opcheck finds more in the function than in its twin, each as an operator."""
    found = [_opcheck_of(exhibit, which) for which in (exhibit.wrong, exhibit.right)]
    return bool(found[0] - found[1])


def _opcheck_of(exhibit: Exhibit, which: Any) -> set[str]:
    one = Exhibit(exhibit.name, "", which, which, exhibit.inputs, "", kind=exhibit.kind)
    function, inputs = asked(one)
    operator = getattr(which, "_opoverload", None)
    if operator is None:
        name = f"as_operator_{len(_LIBRARY._op_defs)}"
        outputs = function(*[v.clone() for v in inputs])
        result = "Tensor" if isinstance(outputs, Tensor) else f"({', '.join(['Tensor'] * len(outputs))})"
        _LIBRARY.define(f"{name}({', '.join(f'Tensor x{i}' for i in range(len(inputs)))}) -> {result}")
        _LIBRARY.impl(name, function, "CompositeImplicitAutograd")
        operator = getattr(torch.ops.layerkit_gallery_table, name).default
    said = torch.library.opcheck(operator, inputs, raise_exception=False)
    return {test for test, outcome in said.items() if outcome != "SUCCESS"}


_LIBRARY = torch.library.Library("layerkit_gallery_table", "DEF")


def row(exhibit: Exhibit, failed: list[str], gradcheck: bool, opcheck: str) -> str:
    """Return the row of an exhibit."""
    others = ", ".join(name for name in failed if name != exhibit.caught_by)
    others = f"others, by {exhibit.varies}" if exhibit.varies else others
    kit = exhibit.caught_by if exhibit.caught_by in failed else "misses"
    seen = ", ".join(
        f"[{place}](https://github.com/{place.replace('#', '/issues/')})" for place in exhibit.seen.split(", ") if place
    )
    found = "catches" if gradcheck else "misses"
    return f"| {exhibit.name} | {exhibit.mistake} | {seen} | {found} | {opcheck} | {kit} | {others} |"


def failed_checks(exhibit: Exhibit) -> list[str]:
    """Return the checks that the wrong function fails."""
    return [result.check for result in exhibit.report(exhibit.wrong).failures]


def documented() -> str:
    """Return the table as the document has it."""
    return DOCUMENT.read_text().split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    """Write the table into the document."""
    rows, counts = [], [0, 0, 0]
    for exhibit in EXHIBITS.values():
        failed, gradcheck, opcheck = failed_checks(exhibit), gradcheck_catches(exhibit), opcheck_catches(exhibit)
        counts = [a + b for a, b in zip(counts, (gradcheck, opcheck, exhibit.caught_by in failed), strict=True)]
        rows.append(row(exhibit, failed, gradcheck, "catches" if opcheck else "misses"))
        print(rows[-1], flush=True)
    lines = [
        f"{len(rows)} mistakes: gradcheck catches {counts[0]}, opcheck {counts[1]}, the kit {counts[2]}.",
        "",
        "| name | mistake | seen in public | gradcheck | opcheck | the kit, by its check | and by |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]
    before, rest = DOCUMENT.read_text().split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}")
    if counts[2] < len(rows):
        sys.exit("the kit misses some")


if __name__ == "__main__":
    main()
