"""What a layer does, in a few words from its own fields."""

from __future__ import annotations

from layerkit.contracts.specs import LayerSpec

FROM_OUTPUT = ("type", "out_channels", "out_features")
"""Fields that are seen from the shape of the output."""
WITHOUT_EFFECT = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "gain": 1}
"""Fields of layers with windows, with the values that change nothing."""


def function_of(layer: LayerSpec) -> str:
    """Return a layer's own fields, but those that its output shows, hold layers, or are without effect."""
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
