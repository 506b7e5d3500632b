"""Compares the report's Table I with the layers of a network, read from its spec."""

from __future__ import annotations

from itertools import zip_longest

from layerkit.contracts.specs import Shape
from layerkit.experiments.report.section import Section
from layerkit.experiments.report.tables import Table
from layerkit.spec.function import function_of
from layerkit.spec.tracing import once, trace

THEIRS = ("report: layer", "channels", "function")
OURS = ("layerkit: layer", "channels", "function", "parameters", "output")


def layers_table(section: Section) -> Table:
    """Return a row for the input and for each layer in order, and one for all of them."""
    architecture = section.outcomes[0].trial.architecture
    shape = architecture.input.shape
    ours = [("input", str(shape[0]), "", "", _shape(shape))]
    for step in once(trace(architecture.network, shape)):
        parameters = f"{step.parameters:,}" if step.parameters else ""
        channels = str(step.output_shape[0])
        ours.append((step.layer.type, channels, function_of(step.layer), parameters, _shape(step.output_shape)))
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
