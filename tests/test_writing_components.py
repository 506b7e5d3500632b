"""The page on writing components shows one of each kind that works: all of its code is run, and proven by the kit."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from layerkit.contracts.kinds import KINDS
from layerkit.registry.catalogue import installed
from layerkit.testing import run
from layerkit.testing.cases.subjects import subjects

PAGE = Path(__file__).parents[1] / "docs" / "writing-components.md"
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The page's Python, as the one module of a plugin."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "layerkit_mine.py").write_text("\n".join(text for language, text in BLOCKS if language == "python"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        module = importlib.import_module("layerkit_mine")
        yield module
        patch.delitem(sys.modules, "layerkit_mine")


def test_every_kind_has_an_example(plugin):
    assert {subject.kind for subject in subjects([plugin])} == set(KINDS)
    (group, entries), *_ = tomllib.loads(next(text for language, text in BLOCKS if language == "toml"))["project"][
        "entry-points"
    ].items()
    assert (group, entries) == ("layerkit", {"layerkit_mine": "layerkit_mine"})


def test_the_kit_finds_nothing_in_them(plugin):
    report = run(plugin, profile="quick")
    assert not report.failures, report.explain()


def test_their_names_are_nobody_elses(plugin):
    names = {(subject.kind, subject.name) for subject in subjects([plugin])}
    assert not names & installed().components.keys()
