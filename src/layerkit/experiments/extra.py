"""The packages of the extra ``layerkit[experiments]``, which experiments need and layerkit itself does not."""

from __future__ import annotations

from importlib.util import find_spec

from layerkit.errors import UserError


def require_extra(*names: str) -> None:
    """Refuse to go on without these packages.

    Raises:
        UserError: with how to install the first that is missing.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"experiments need {name}: pip install 'layerkit[experiments]'")
