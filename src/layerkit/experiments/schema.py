"""The JSON Schema of experiment files."""

from __future__ import annotations

from layerkit.experiments.experiment import Experiment
from layerkit.spec.schema import DIALECT, Schema, SchemaGenerator


def experiment_schema() -> Schema:
    """Return the schema of the files that ``layerkit experiment`` reads."""
    return {"$schema": DIALECT, **Experiment.model_json_schema(schema_generator=SchemaGenerator)}
