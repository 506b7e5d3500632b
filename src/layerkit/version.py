"""The version of this package, as its installed metadata has it."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("layerkit")
