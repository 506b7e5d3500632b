"""The kinds of component, one row each; hook names and the words used in messages are derived from these rows.

A sixth kind is a row here, its name in :data:`~layerkit.contracts.specs.KindName`, a spec and a contract beside these,
and a package of components in :mod:`layerkit.builtin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from layerkit.contracts.specs import KindName, LayerSpec, LossSpec, NoiseSpec, OptimizerSpec, ScheduleSpec, Spec


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes:
        spec: the base class of its specs.
        plural: the plural of its name, which is also the name of the package of built-in components.
        example: the name of a built-in component, for messages.
        article: the article of its name, "a" or "an".
    """

    spec: type[Spec]
    plural: str
    example: str
    article: str = "a"

    @property
    def name(self) -> KindName:
        """The name in a sentence, and the key in every table by kind, such as ``layer``."""
        return self.spec.kind

    @property
    def hook(self) -> str:
        """The hook that registers components of this kind, such as ``layerkit_layers``."""
        return f"layerkit_{self.plural}"

    @property
    def heading(self) -> str:
        """The heading above its components, such as ``Layers``."""
        return self.plural.capitalize()

    @property
    def with_article(self) -> str:
        """The name with its article, such as ``a layer``."""
        return f"{self.article} {self.name}"


_ROWS = (
    Kind(LayerSpec, "layers", example="relu"),
    Kind(LossSpec, "losses", example="mse"),
    Kind(OptimizerSpec, "optimizers", example="sgd", article="an"),
    Kind(NoiseSpec, "noises", example="gaussian"),
    Kind(ScheduleSpec, "schedules", example="cosine"),
)

KINDS: Mapping[KindName, Kind] = MappingProxyType({kind.name: kind for kind in _ROWS})
"""Every kind by its name, in the order in which the reference lists them."""
