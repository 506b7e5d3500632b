"""What a layer gives when several threads evaluate it at once."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from layerkit.testing.cases.case import LayerCase
from layerkit.testing.check import CheckFailed, check
from layerkit.testing.instruments.comparison import require_same_bits
from layerkit.testing.instruments.interrupting import count_lines, interrupt
from layerkit.testing.instruments.passes import forward

PLACES = 12
"""The most lines at which an evaluation is interrupted."""


@check("layer", most=2)
def evaluations_may_overlap(case: LayerCase) -> None:
    """An evaluation that another thread's evaluation interrupts, at any line, gives the same bits as alone."""
    layer = case.layer().eval()
    inputs = [case.input(), case.input(purpose="of the same size"), case.input(2 * case.batch + 1, purpose="larger")]
    alone = [forward(layer, x).clone() for x in inputs]
    outputs: list[Tensor | None] = [None] * len(inputs)

    def evaluate(number: int) -> None:
        outputs[number] = forward(layer, inputs[number])

    lines = count_lines(partial(evaluate, 0))
    for place in range(min(lines, PLACES)):
        line, other = place * lines // min(lines, PLACES), 1 + place % 2
        try:
            interrupt(partial(evaluate, 0), line, partial(evaluate, other))
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise CheckFailed(f"an evaluation fails where another thread's comes in between: {problem}") from error
        for number in (0, other):
            given, expected = outputs[number], alone[number]
            assert given is not None
            what = "an evaluation gives another output where one in another thread comes in between"
            require_same_bits(given, expected, what)
