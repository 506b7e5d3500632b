"""Normalization and dropout for layerkit."""

from __future__ import annotations

from layerkit import LayerSpec, hookimpl

from layerkit_normalization.batch_norm2d import BatchNorm2d, BatchNorm2dSpec
from layerkit_normalization.dropout import Dropout, DropoutSpec
from layerkit_normalization.group_norm import GroupNorm, GroupNormSpec

__all__ = ["BatchNorm2d", "Dropout", "GroupNorm"]


@hookimpl
def layerkit_layers() -> list[type[LayerSpec]]:
    return [BatchNorm2dSpec, DropoutSpec, GroupNormSpec]
