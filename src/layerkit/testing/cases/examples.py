"""The cases that one component is tried on, drawn once for all of its checks."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.errors import Unsatisfiable

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import Case
from layerkit.testing.cases.strategies import cases
from layerkit.testing.cases.subjects import Subject
from layerkit.testing.profiles import Profile, hypothesis_in_a_temporary_folder

SURPLUS = 3
"""Hypothesis likes to repeat itself with small changes; of this many times the cases the most diverse are taken."""


@dataclass(frozen=True)
class Examples:
    """The cases of one component.

    Attributes:
        subject: the component.
        profile: how many cases there are.
        seed: the same seed gives the same cases.
        unfit: why drawn configurations and shapes could not be used, one entry each.
    """

    subject: Subject
    profile: Profile
    seed: int = 0
    unfit: list[str] = field(default_factory=list, compare=False)

    @cached_property
    def all(self) -> tuple[Case[Spec], ...]:
        """The cases, as many as the profile says; none where no valid one was found."""
        found: list[Case[Spec]] = []
        try:
            self.search(found.append, shrink=False)
        except Unsatisfiable:
            return ()
        except Exception as error:  # a schema that cannot be made, or a validator that fails: the author's, as all code
            self.unfit.append(f"{type(error).__name__}: {error}")
            return ()
        return tuple(_diverse(found)[: self.profile.examples])

    def why_none(self) -> str:
        """Return why there are no cases, with the remedy; nothing where there are some."""
        if self.all:
            return ""
        reason = Counter(self.unfit).most_common(1)[0][0] if self.unfit else "nothing was drawn"
        return f"no valid case could be drawn in {len(self.unfit)} tries: {reason}"

    def for_share(self, share: float) -> tuple[Case[Spec], ...]:
        """Return the cases of a check that takes a part of them, evenly spaced."""
        wanted = min(len(self.all), self.profile.examples_of(share))
        return tuple(self.all[index * len(self.all) // wanted] for index in range(wanted))

    def search(self, function: Callable[[Case[Spec]], None], *, shrink: bool) -> None:
        """Call ``function`` with each case, and, once it raises, with smaller and smaller ones that hypothesis tries.

        Raises:
            Exception: what the function raised for the smallest case.
        """

        def once(case: Case[Spec]) -> None:
            function(case)

        phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
        search = settings(
            max_examples=SURPLUS * self.profile.examples,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            print_blob=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )(with_seed(self._hypothesis_seed())(given(cases(self.subject, None if shrink else self.unfit))(once)))
        with hypothesis_in_a_temporary_folder():
            search()

    def _hypothesis_seed(self) -> int:
        return zlib.crc32(f"{self.seed}/{self.subject.kind}/{self.subject.name}".encode())


def _diverse(found: list[Case[Spec]]) -> list[Case[Spec]]:
    """Return the cases without repetitions, those with a configuration of their own first."""
    groups: dict[str, dict[str, Case[Spec]]] = {}
    for case in found:
        looks = {name: value for name, value in case.describe().items() if name != "seed"}
        groups.setdefault(looks["configuration"], {}).setdefault(str(looks), case)
    rounds = zip_longest(*(group.values() for group in groups.values()))
    return [case for cases_of_a_round in rounds for case in cases_of_a_round if case is not None]
