"""What is installed: the version of this package, and the packages of its extras."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from layerkit.errors import UserError

__version__ = version("layerkit")
"""The version in the metadata that pip installed."""


def require_extra(extra: str, who: str, *names: str) -> None:
    """Make sure that packages of an extra are installed, without importing them.

    Args:
        extra: the name of the extra, as in ``layerkit[extra]``.
        who: the beginning of the message, such as "experiments need".
        names: the packages' names, as they are imported.

    Raises:
        UserError: when one is missing; the message says how to install it.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(f"{who} {name}: pip install 'layerkit[{extra}]'")
