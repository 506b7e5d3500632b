"""What hypothesis loads at each of its starts: it only says who knows about specs, and imports nothing for it.

Whoever then asks ``hypothesis.strategies.from_type`` for a spec class gets the strategy of
:mod:`layerkit.testing.cases.strategies`, which is imported at that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_origin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def register() -> None:
    """Let hypothesis ask here for the specs of layerkit, once anyone has imported their module."""
    try:
        from hypothesis.strategies._internal.types import _global_extra_lookup
    except ImportError:
        # A private table, and the only one that is lazy. Without it the strategies are there, but not registered; an
        # error here would break hypothesis for the whole environment.
        return
    _global_extra_lookup.setdefault("layerkit.contracts.specs", _strategy_for)


def _strategy_for(thing: Any) -> SearchStrategy[Any] | None:
    from layerkit.contracts.kinds import KINDS
    from layerkit.contracts.specs import Spec

    if not (isinstance(thing, type) and issubclass(thing, Spec)):
        return None
    from layerkit.testing.cases import strategies

    for kind in KINDS.values():
        if thing is kind.spec:
            return strategies.registered_specs(kind.name)
    named = get_origin(thing.model_fields["type"].annotation) is Literal
    return strategies.specs(thing) if named else None
