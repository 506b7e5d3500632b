"""The report's Table I beside the layers of a network, read from its spec."""

from __future__ import annotations

from itertools import zip_longest

from layerkit.contracts.specs import LayerSpec, Shape
from layerkit.experiments.report.section import Section
from layerkit.experiments.report.tables import Table
from layerkit.spec.tracing import once, trace

THEIRS = ("report: layer", "channels", "function")
NEUTRAL = {"stride": 1, "padding": 0, "dilation": 1}
"""Values with which a field of a layer changes nothing."""
OURS = ("layerkit: layer", "channels", "function", "parameters", "output")


def layers_table(section: Section) -> Table:
    """Return a row for the input and for each layer in order, and one for all of them."""
    architecture = section.outcomes[0].trial.architecture
    shape = architecture.input.shape
    ours = [("input", str(shape[0]), "", "", _shape(shape))]
    for step in once(trace(architecture.network, shape)):
        parameters = f"{step.parameters:,}" if step.parameters else ""
        channels = str(step.output_shape[0])
        ours.append((step.layer.type, channels, _function(step.layer), parameters, _shape(step.output_shape)))
    ours.append(("all", "", "", f"{architecture.network.parameter_count(shape):,}", ""))
    layers = section.experiment.reported.layers
    if not layers:
        return Table(OURS, tuple(ours), frozenset({0, 2}))
    theirs = [(layer.name, str(layer.channels or ""), layer.function) for layer in layers]
    rows = zip_longest(theirs, ours)
    cells = tuple((*(report or [""] * len(THEIRS)), *(here or [""] * len(OURS))) for report, here in rows)
    return Table(THEIRS + OURS, cells, frozenset({0, 2, 3, 5}))


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _function(layer: LayerSpec) -> str:
    """Return what a layer does in its own numbers and words, such as "kernel size 2, stride 2"."""
    shown = []
    for name, value in layer:
        if isinstance(value, tuple) and value and all(isinstance(part, int) for part in value):
            value = "x".join(map(str, value))
        said = name in ("type", "out_channels") or NEUTRAL.get(name) == value or value is True
        if not said and isinstance(value, int | float | str):
            shown.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(shown)
