"""Everything that is installed, plugins included and nothing exempt, passes the battery."""

from __future__ import annotations

from layerkit.testing import parametrize_with_checks
from layerkit.testing.parametrizing import CheckOfComponent


@parametrize_with_checks()
def test_conformance(check: CheckOfComponent) -> None:
    check()
