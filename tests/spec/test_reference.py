from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field

from layerkit.contracts.hookspecs import HOOKS
from layerkit.contracts.kinds import KINDS
from layerkit.contracts.module import Module
from layerkit.contracts.registered import AnyLayer
from layerkit.contracts.specs import LayerSpec, Shape, StrictModel
from layerkit.registry.catalogue import collect, installed
from layerkit.registry.discovery import Plugin, PluginSettings
from layerkit.spec.reference import reference_pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
BUILT_IN = installed(PluginSettings(enabled=False))
PAGES = reference_pages(BUILT_IN)
COMPONENTS = list(BUILT_IN.components.values())
REMEDY = "write the pages again with: layerkit --no-plugins docs --output docs/reference"


class Part(StrictModel):
    size: int


class StrangeSpec(LayerSpec):
    """Strange: y = x.

    | not a table |
    """

    type: Literal["strange"] = Field(description="The name of the layer.")
    share: float = Field(gt=0, lt=1, description="A share | of it.")
    sizes: tuple[int, ...] = Field(default=(1, 2), min_length=1, description="Sizes.")
    label: str = Field(default="", max_length=9, description="A text.")
    mode: Literal["a", "b"] = Field(default="a", description="A choice.")
    part: Part | None = Field(default=None, description="A part.")
    body: AnyLayer = Field(description="A layer.")
    few: list[bool] = Field(default_factory=list, max_length=2, description="A few.")

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def build(self, input_shape: Shape, generator: torch.Generator) -> Module:
        raise NotImplementedError


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_pages_of_the_repository_are_true(name: str) -> None:
    page = FOLDER / name
    assert page.is_file(), REMEDY
    assert page.read_text() == PAGES[name], REMEDY


def test_there_is_no_page_of_something_that_is_gone() -> None:
    assert {path.name for path in FOLDER.glob("*")} <= set(PAGES), REMEDY


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_every_component_has_a_page_with_all_its_fields(component: Any) -> None:
    name = f"{component.kind}-{component.name}.md"
    page = PAGES[name]
    for field, info in component.spec.model_fields.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{field}` |"))
        assert "any value" not in row
        assert info.description, f"{component.spec.__name__}.{field} has no description"
        assert " ".join(info.description.split()) in row.replace("\\|", "|")
        assert ("required" in row) == info.is_required()
    assert component.spec.__doc__.strip().split("\n")[0] in page
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert json.loads(example) == component.example
    assert f"({name}): {component.summary}" in PAGES["index.md"]


def test_every_hook_is_described() -> None:
    for kind in KINDS.values():
        assert f"## {kind.hook}\n" in PAGES["hooks.md"]
        assert getattr(HOOKS, kind.hook).__doc__ in PAGES["hooks.md"]


def test_links_lead_to_pages() -> None:
    for page in PAGES.values():
        assert set(re.findall(r"\]\(([^)]+)\)", page)) <= set(PAGES)


def test_a_page_says_what_a_field_may_hold() -> None:
    stranger = Plugin("strange", "strange-package", "1", "strange", hooks={"layerkit_layers": lambda: [StrangeSpec]})
    page = reference_pages(collect([stranger]))["layer-strange.md"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| [^|]*(?:\\\|[^|]*)*\|$", page, re.MULTILINE))
    assert rows == {
        "type": '`"strange"` | required',
        "share": "number, more than 0, less than 1 | required",
        "sizes": "list, at least 1 items, each a whole number | `[1, 2]`",
        "label": 'text, at most 9 characters | `""`',
        "mode": '`"a"` or `"b"` | `"a"`',
        "part": "object; or `null` | `null`",
        "body": "any layer | required",
        "few": "list, at most 2 items, each a `true` or `false` | `[]`",
    }
    assert "A layer of the package `strange-package`." in page
    assert "A share \\| of it." in page
