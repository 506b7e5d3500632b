"""What a gallery is made of: a mistake, the function that makes it, and its twin that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from layerkit.testing import check_function, check_pair
from layerkit.testing.foreign.report import GradientReport


@dataclass(frozen=True)
class Exhibit:
    """One mistake.

    Attributes:
        name: of the exhibit.
        mistake: what is wrong, in a sentence.
        wrong: the function that makes it: what ``check_function`` takes, or the two functions of a pair.
        right: its twin.
        inputs: makes the example, the same for both.
        caught_by: the check that must catch it.
        seen: where such a mistake was seen in public.
        declared: what must be said about the function.
        varies: what else catches it depends on, such as what memory happens to hold.
        kind: how it is checked.
    """

    name: str
    mistake: str
    wrong: Any
    right: Any
    inputs: Callable[[], tuple[Any, ...]]
    caught_by: str
    seen: str = ""
    declared: dict[str, Any] = field(default_factory=dict)
    varies: str = ""
    kind: Literal["function", "pair"] = "function"

    def report(self, which: Any) -> GradientReport:
        """Return what the kit says about one of the twins."""
        if self.kind == "pair":
            return check_pair(*which, self.inputs(), raises=False, **self.declared)
        # opcheck loads torch's compiler, for seconds; foreign_table.py asks it.
        which = which() if isinstance(which, type) and issubclass(which, torch.nn.Module) else which
        return check_function(which, self.inputs(), raises=False, opchecks=False, **self.declared)


def normal(*shape: int) -> Tensor:
    """Return values that are the same in each run."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)
