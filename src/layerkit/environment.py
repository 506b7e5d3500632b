"""The version of this package, as its installed metadata has it."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from layerkit.errors import UserError

__version__ = version("layerkit")


def require_extra(extra: str, who: str, *names: str) -> None:
    """Refuse to go on without these packages of ``layerkit[extra]``.

    Args:
        extra: the name of the extra.
        who: needs them, as the message says it: "experiments need".
        names: of the packages, as they are imported.

    Raises:
        UserError: with how to install the first that is missing.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"{who} {name}: pip install 'layerkit[{extra}]'")
