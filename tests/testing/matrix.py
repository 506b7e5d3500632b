"""Which check catches which animal of the zoo: ``python tests/testing/matrix.py`` writes it into docs/conformance.md.

Whether each animal is caught by the check named for it, the tests ask in every run. Which other checks notice it takes
the whole battery for each: the tests ask that, and compare the tables row by row, with LAYERKIT_THOROUGH=1.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import zoo_bounds
import zoo_composition
import zoo_declarations
import zoo_drawing
import zoo_draws
import zoo_gradients
import zoo_large
import zoo_losses
import zoo_memory
import zoo_noises
import zoo_on_purpose
import zoo_optimizers
import zoo_persistence
import zoo_promises
import zoo_registration
import zoo_resuming
import zoo_schedules
import zoo_state
import zoo_surroundings
import zoo_threads
from zoo_building import animals, spec_of

from layerkit.testing import run
from layerkit.testing.battery import BATTERY
from layerkit.testing.profiles import Profile

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- the matrix begins -->", "<!-- the matrix ends -->"

ZOO = animals(
    zoo_gradients,
    zoo_composition,
    zoo_state,
    zoo_persistence,
    zoo_promises,
    zoo_declarations,
    zoo_registration,
    zoo_drawing,
    zoo_losses,
    zoo_optimizers,
    zoo_noises,
    zoo_schedules,
    zoo_large,
    zoo_resuming,
    zoo_memory,
    zoo_bounds,
    zoo_draws,
    zoo_surroundings,
    zoo_threads,
    zoo_on_purpose,
)
PROFILE = Profile("zoo", examples=12, shrinks=0)
"""Few cases and no shrinking: whether something is caught is asked, and not how small it can be made."""


@dataclass(frozen=True)
class Row:
    """An animal, and the checks that it fails; ``caught`` are the others than the one named for it."""

    name: str
    named: str
    caught: tuple[str, ...]
    missed: bool

    def text(self) -> str:
        """Return the row of the table."""
        also = ", ".join(self.caught)
        return f"{beginning(self.name)} {also} |"


def beginning(name: str) -> str:
    """Return the row of an animal up to the last cell: all that is known without trying it."""
    animal = ZOO[name]
    mistake = " ".join(animal.__doc__.split()).replace("|", "\\|")
    return f"| {name} | {spec_of(animal).kind} | {mistake} | {animal.caught_by} |"


def failed(name: str, only: str | None = None) -> list[str]:
    """Return the checks that an animal fails, of the whole battery or of one check alone."""
    return [result.check for result in run(spec_of(ZOO[name]), only=only, profile=PROFILE).failures]


def row(name: str) -> Row:
    """Return what the whole battery says about an animal."""
    animal, found = ZOO[name], failed(name)
    others = tuple(check for check in found if check != animal.caught_by)
    if varies := getattr(animal, "varies", ""):
        others = (f"others, by what {varies}",)
    return Row(name, animal.caught_by, others, animal.caught_by not in found)


def tables(rows: list[Row]) -> str:
    """Return both tables: the animals, and the checks with how many animals each of them catches."""
    lines = [f"{len(rows)} components with a mistake each, and {len(BATTERY)} checks.", ""]
    lines += ["| check | of | states | named for | catches in all |", "|---|---|---|---|---|"]
    for check in BATTERY:
        named = sum(row.named == check.name for row in rows)
        caught = named + sum(check.name in row.caught for row in rows)
        statement = check.statement.replace("|", "\\|")
        lines.append(f"| {check.name} | {', '.join(check.kinds)} | {statement} | {named} | {caught} |")
    lines += ["", "| component | kind | what is wrong with it | caught by | and also by |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(row.text() for row in rows)])


def documented() -> str:
    """Return the tables as the document has them."""
    return DOCUMENT.read_text().split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    """Write the tables into the document."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        rows = list(pool.map(row, ZOO))
    missed = [row.name for row in rows if row.missed]
    if missed:
        sys.exit(f"not caught by the check named for them: {', '.join(missed)}")
    before, rest = DOCUMENT.read_text().split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables(rows)}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
