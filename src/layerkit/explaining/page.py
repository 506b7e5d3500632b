"""An explanation as a page: sums as mathematics, pictures and gradients as tables whose cells have colours."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor

from layerkit.explaining.layer import Explained, Written
from layerkit.explaining.text import number, shown
from layerkit.explaining.walk import Walk

MOST_CHANNELS, MOST_SIDE = 3, 8
"""The most channels, rows and columns of a tensor that are drawn."""


@dataclass(frozen=True)
class Cell:
    """A number, and how strongly its cell is coloured, from -1 to 1."""

    text: str
    strength: float


@dataclass(frozen=True)
class Matrix:
    """A tensor, or its first channels: rows of cells for each.

    Attributes:
        name: of the tensor.
        channels: of rows of cells.
        whole: whether this is all of it.
    """

    name: str
    channels: list[list[list[Cell]]]
    whole: bool


@dataclass(frozen=True)
class Section:
    """A layer on the page."""

    layer: Explained
    before: list[Matrix]
    after: list[Matrix]
    forward: dict[str, object]
    backward: dict[str, object] | None


def page(name: str, walked: Walk, layers: list[Explained]) -> str:
    """Return the page, one HTML file that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("layerkit.explaining", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"number": number}
    return environment.get_template("page.html").render(
        name=name, walk=walked, sections=[_section(layer) for layer in layers]
    )


def _section(layer: Explained) -> Section:
    passed = layer.passed
    before = [_matrix("x", passed.x[0])]
    after = [_matrix("y", passed.y[0]), _matrix("grad_y", passed.grad_y[0])]
    if passed.grad_x is not None:
        before.append(_matrix("grad_x", passed.grad_x[0]))
    return Section(layer, before, after, _sum(layer.forward), _sum(layer.backward) if layer.backward else None)


def _matrix(name: str, tensor: Tensor) -> Matrix:
    planes = (
        tensor if tensor.dim() == 3 else tensor.reshape(1, -1, tensor.shape[-1] if tensor.dim() > 1 else tensor.numel())
    )
    drawn = planes[:MOST_CHANNELS, :MOST_SIDE, :MOST_SIDE]
    scale = planes.abs().max().item() or 1.0
    channels = [[[Cell(number(value), value / scale) for value in row] for row in plane] for plane in drawn.tolist()]
    return Matrix(name, channels, drawn.shape == planes.shape)


def _sum(written: Written) -> dict[str, object]:
    terms = shown(written)
    rest = written.terms[len(terms) :]
    return {
        "place": written.place,
        "terms": terms,
        "left": len(rest),
        "left_sum": sum(term.factor * term.value for term in rest),
        "rest": 0.0 if written.slopes or abs(written.rest) < 1e-12 else written.rest,
        "of": written.of,
        "total": written.total,
        "slopes": written.slopes,
    }
