"""The tutorial's layer is as wrong at each step as the page says, for the reason it quotes, and right in the end."""

from __future__ import annotations

import re
import sys
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from layerkit.testing import run

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
_number = count()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch):
    """Return the plugin as it is once the reader has written so many blocks, each in place of the one before."""

    def module(blocks: int) -> ModuleType:
        python = [text for language, text in BLOCKS if language == "python"]
        made = ModuleType(f"tutorial_{next(_number)}")
        monkeypatch.setitem(sys.modules, made.__name__, made)
        exec("\n".join(python[:blocks]), vars(made))
        return made

    return module


QUOTED = list(zip((1, 2, 4), (text for language, text in BLOCKS if language == "text"), strict=True))
"""After how many blocks a message is quoted, and the message."""


@pytest.mark.parametrize(("blocks", "quoted"), QUOTED)
def test_a_mistake_is_found_with_the_words_that_are_quoted(written, blocks: int, quoted: str) -> None:
    check = quoted.split(": ")[1]
    found = run(written(blocks), only=check, profile="quick").explain()
    for line in quoted.splitlines():
        assert line in found


def test_nothing_is_found_in_the_end(written) -> None:
    report = run(written(len(BLOCKS)), profile="quick")
    assert not report.failures, report.explain()


def test_only_what_the_page_says_is_wrong_after_the_first_mending(written) -> None:
    assert [failure.check for failure in run(written(2), profile="quick").failures] == ["undeclared_kinks"]
