"""Everything that is installed, plugins included and nothing exempt, passes the battery.

The plugins in this repository are tried by the two lines in their own tests; everything else is tried here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layerkit.testing.cases.subjects import Subject, subjects
from layerkit.testing.profiles import DEFAULT
from layerkit.testing.running import run_subjects

PLUGINS = Path(__file__).parents[2] / "plugins"
PROVEN = {
    folder.parent.name: folder
    for folder in PLUGINS.glob("*/tests")
    if "[project.entry-points.layerkit]" in (folder.parent / "pyproject.toml").read_text()
}
"""The folders of tests of the plugins with components in this repository, by the names of their packages."""
OTHERS = [subject for subject in subjects() if subject.component.distribution not in PROVEN]


# One test a component, and not one a check as in a plugin's tests: thousands of tests take a while by themselves.
@pytest.mark.parametrize("subject", OTHERS, ids=lambda subject: f"{subject.kind}-{subject.name}")
def test_conformance(subject: Subject) -> None:
    report = run_subjects((subject,), None, DEFAULT)
    assert not report.failures, report.explain()


@pytest.mark.parametrize("distribution", PROVEN)
def test_a_plugin_of_this_repository_tries_all_of_its_components_in_its_own_tests(distribution: str) -> None:
    text = (PROVEN[distribution] / "test_conformance.py").read_text()
    assert f'@parametrize_with_checks("{distribution}")\ndef test_' in text, "with no option, so that nothing is exempt"
    assert "skip" not in text and "xfail" not in text
