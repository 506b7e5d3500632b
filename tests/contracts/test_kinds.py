from __future__ import annotations

from typing import get_args

import pytest

from layerkit.contracts.kinds import KINDS
from layerkit.contracts.specs import KindName
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings
from layerkit.testing.battery import checks_for
from layerkit.testing.cases.case import CASES


def test_every_name_of_a_kind_has_a_row() -> None:
    assert tuple(KINDS) == get_args(KindName)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_can_be_drawn_and_has_checks(name: KindName) -> None:
    assert name in CASES
    assert checks_for(name)


@pytest.mark.parametrize("name", KINDS)
def test_the_example_of_a_kind_comes_with_layerkit(name: KindName) -> None:
    assert KINDS[name].example in installed(PluginSettings(enabled=False)).names(name)


def test_what_is_derived_from_a_row() -> None:
    kind = KINDS["optimizer"]
    assert (kind.hook, kind.heading, kind.with_article) == ("layerkit_optimizers", "Optimizers", "an optimizer")
    assert [kind.with_article for kind in KINDS.values()] == [
        "a layer", "a loss", "an optimizer", "a noise", "a schedule"
    ]  # fmt: skip
