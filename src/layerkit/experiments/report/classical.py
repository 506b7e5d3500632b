"""The results of classical methods on a data set's validation pictures, kept in a file because they take a while."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from layerkit.contracts.specs import StrictModel
from layerkit.data.dataset import Validation
from layerkit.denoising.tuning import measure_baselines
from layerkit.disk import write_atomically
from layerkit.experiments.results import Recorded, recorded
from layerkit.spec.architecture import Architecture


class Classical(StrictModel):
    """A method, with the parameters that were best on these pictures, and its quality."""

    name: str
    quality: Recorded


_ALL = TypeAdapter(list[Classical])


def classical_quality(folder: Path, architecture: Architecture, data: str, validation: Validation) -> list[Classical]:
    """Return the quality that classical methods reach on validation pictures, estimated if no clean ones are known.

    Args:
        folder: the folder for the file with the results.
        architecture: the architecture with the noise and the input of the pictures.
        data: the fingerprint of the data set.
        validation: the pictures.

    Raises:
        RunError: when it cannot be written.
    """
    asked = [data, architecture.trained.noise.model_dump_json(), architecture.input.model_dump_json()]
    path = folder / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:24]}.json"
    try:
        return _ALL.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass
    classical = [
        Classical(name=f"{result.name}, tuned", quality=recorded(result.quality))
        for result in measure_baselines(validation)
    ]
    write_atomically(path, _ALL.dump_json(classical, indent=2) + b"\n")
    return classical
