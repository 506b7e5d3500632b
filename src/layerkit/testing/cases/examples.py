"""The cases that one component is tried on, drawn once for all of its checks."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import zip_longest

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

from layerkit.contracts.specs import Spec
from layerkit.testing.cases.case import Case
from layerkit.testing.cases.large import covering, large_cases
from layerkit.testing.cases.strategies import cases
from layerkit.testing.cases.subjects import Subject
from layerkit.testing.check import Check
from layerkit.testing.profiles import Profile, hypothesis_in_a_temporary_folder

SURPLUS = 3
"""Hypothesis likes to repeat itself with small changes; of this many times the cases the most diverse are taken."""
LARGE_SURPLUS = 6
"""Large cases are fewer, and between them they have to show more."""

Draw = Callable[[list[str] | None], SearchStrategy[Case[Spec]]]
"""Returns a strategy for cases, given the list to which reasons are added why something drawn cannot be used."""


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
        """The small cases, as many as the profile says; none where no valid one was found.

        Where the spec has an example, it is that of the second one.
        """
        found = _diverse(self._drawn(self._small, SURPLUS * self.profile.examples))
        found[1:1] = self._typical(partial(cases, self.subject, choice="typical"))
        return tuple(found[: self.profile.examples])

    def why_none(self) -> str:
        """Return why there are no cases, with the remedy; nothing where there are some."""
        if self.all:
            return ""
        reason = Counter(self.unfit).most_common(1)[0][0] if self.unfit else "nothing was drawn"
        return f"no valid case could be drawn in {len(self.unfit)} tries: {reason}"

    @cached_property
    def large(self) -> tuple[Case[Spec], ...]:
        """The large cases, as many as the profile says, or fewer where a component takes no large inputs.

        Where the spec has an example, it is that of the first one.
        """
        found = self._typical(partial(large_cases, self.subject, choice="typical"))
        if self.profile.large > len(found):
            wide = partial(large_cases, self.subject, choice="wide")
            count = self.profile.large - len(found)
            found += covering(self._drawn(wide, LARGE_SURPLUS * self.profile.large), count)
        return tuple(found)

    def for_check(self, check: Check) -> list[Case[Spec]]:
        """Return the cases of a check: its shares of the small and of the large ones, each evenly spaced."""
        wanted = self.profile.examples_of(check.share)
        small = _spaced(self.all, wanted if check.most is None else min(wanted, check.most))
        return small + (_spaced(self.large, math.ceil(self.profile.large * check.large)) if check.large else [])

    def search(self, function: Callable[[Case[Spec]], None]) -> None:
        """Call ``function`` with each small case, and, once it raises, with ever smaller ones that hypothesis tries.

        Raises:
            Exception: what the function raised for the smallest case.
        """
        self._search(self._small(None), function, SURPLUS * self.profile.examples, (Phase.generate, Phase.shrink))

    def _small(self, unfit: list[str] | None) -> SearchStrategy[Case[Spec]]:
        return cases(self.subject, unfit)

    def _typical(self, draw: Draw) -> list[Case[Spec]]:
        """Return a case of the spec's own example, if it has one that is valid."""
        return self._drawn(draw, SURPLUS)[-1:] if self.subject.spec.example else []

    def _drawn(self, draw: Draw, count: int) -> list[Case[Spec]]:
        found: list[Case[Spec]] = []
        try:
            self._search(draw(self.unfit), found.append, count, (Phase.generate,))
        except Unsatisfiable:
            return []
        except Exception as error:  # a schema that cannot be made, or a validator that fails: the author's, as all code
            self.unfit.append(f"{type(error).__name__}: {error}")
            return []
        return found

    def _search(
        self,
        strategy: SearchStrategy[Case[Spec]],
        function: Callable[[Case[Spec]], None],
        count: int,
        phases: tuple[Phase, ...],
    ) -> None:
        def once(case: Case[Spec]) -> None:
            function(case)

        search = settings(
            max_examples=count,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            print_blob=False,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )(with_seed(self._hypothesis_seed())(given(strategy)(once)))
        with hypothesis_in_a_temporary_folder():
            search()

    def _hypothesis_seed(self) -> int:
        return zlib.crc32(f"{self.seed}/{self.subject.kind}/{self.subject.name}".encode())


def _spaced(found: tuple[Case[Spec], ...], count: int) -> list[Case[Spec]]:
    wanted = min(len(found), count)
    return [found[index * len(found) // wanted] for index in range(wanted)]


def _diverse(found: list[Case[Spec]]) -> list[Case[Spec]]:
    """Return the cases without repetitions, those with a configuration of their own first."""
    groups: dict[str, dict[str, Case[Spec]]] = {}
    for case in found:
        looks = {name: value for name, value in case.describe().items() if name != "seed"}
        groups.setdefault(looks["configuration"], {}).setdefault(str(looks), case)
    rounds = zip_longest(*(group.values() for group in groups.values()))
    return [case for cases_of_a_round in rounds for case in cases_of_a_round if case is not None]
