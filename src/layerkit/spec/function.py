"""A short description of what a layer does, made from its fields."""

from __future__ import annotations

from layerkit.contracts.specs import LayerSpec

FROM_OUTPUT = ("type", "out_channels", "out_features")
"""Fields that can be seen from the shape of the output."""
WITHOUT_EFFECT = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "gain": 1}
"""Fields of layers with windows, with the values that have no effect."""


def function_of(layer: LayerSpec) -> str:
    """Return a layer's fields, except those that show in its output shape, hold layers, or have no effect."""
    shown = {}
    for name, field in type(layer).model_fields.items():
        value = getattr(layer, name)
        switch = value is None or isinstance(value, bool)
        if name in FROM_OUTPUT or (switch and value == field.default) or value == WITHOUT_EFFECT.get(name, ()):
            continue
        if not isinstance(value, tuple | list):
            shown[name] = str(value)
        elif value and all(isinstance(part, int) for part in value):
            shown[name] = "x".join(map(str, value))
    return ", ".join(f"{name}={value}" for name, value in shown.items())
