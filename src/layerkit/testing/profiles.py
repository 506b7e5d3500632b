"""Profiles, which say how many examples the checks of a run use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import configuration

from layerkit.errors import UserError


@dataclass(frozen=True)
class Profile:
    """How many cases a check is tried on.

    Attributes:
        name: quick, default or thorough.
        examples: small cases of a check; costly checks take a part of them.
        shrinks: further cases that a failure may cost while a smaller one is looked for.
        large: large cases of a component.
    """

    name: str
    examples: int
    shrinks: int
    large: int = 4

    def examples_of(self, share: float) -> int:
        """Return the small cases of a check that takes ``share`` of them; at least four, if any."""
        return max(4, round(self.examples * share)) if share else 0


QUICK = Profile("quick", 6, 60, 2)
DEFAULT = Profile("default", 30, 120, 8)
THOROUGH = Profile("thorough", 300, 400, 40)
PROFILES = {profile.name: profile for profile in (QUICK, DEFAULT, THOROUGH)}


def profile_named(profile: str | Profile) -> Profile:
    """Return the profile of that name.

    Raises:
        UserError: when there is none.
    """
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise UserError(f'unknown profile "{profile}"; known are {", ".join(PROFILES)}')
    return PROFILES[profile]


@contextmanager
def hypothesis_in_a_temporary_folder() -> Iterator[None]:
    """Keep hypothesis from leaving ``.hypothesis`` in the folder where a program is run."""
    before = vars(configuration).get("__hypothesis_home_directory")  # which it lets one set, and not ask
    with tempfile.TemporaryDirectory() as folder:
        configuration.set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            configuration.set_hypothesis_home_dir(before)
