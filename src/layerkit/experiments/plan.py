"""Makes the trials of an experiment: every architecture is resolved and checked before the first is trained."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layerkit.errors import Problem, SpecError
from layerkit.experiments.experiment import Variant
from layerkit.experiments.loading import ExperimentFile
from layerkit.registry.catalogue import Catalogue
from layerkit.spec import text as jsontext
from layerkit.spec.architecture import Architecture
from layerkit.spec.constants import DEFINE, from_constant
from layerkit.spec.loading import load_architecture
from layerkit.spec.overrides import keys_of
from layerkit.spec.tracing import written_layers
from layerkit.wording import json_path, show

MAX_LAYERS_IN_ALL = 50_000
"""The most layers in the architectures of all trials together, without copies, since all are in memory."""
_OUTSIDE = {"$schema", "name", "description", "requires"}
"""The fields of a spec that its training does not depend on."""


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        architecture: the resolved architecture with its seed.
        clean_targets: whether its targets are clean pictures.
        variant, series: the name of its variant and the line that it belongs to; empty without variants.
        values: the values that vary, by path.
        timed: whether its seconds matter.
    """

    architecture: Architecture
    clean_targets: bool
    variant: str
    series: str
    values: Mapping[str, Any]
    timed: bool = False

    @property
    def seed(self) -> int:
        """The seed of its weights, crops, order and noise."""
        return self.architecture.trained.seed

    @property
    def targets(self) -> str:
        """The kind of its targets: "clean" or "noisy" pictures."""
        return "clean" if self.clean_targets else "noisy"

    @property
    def label(self) -> str:
        """A line that distinguishes this trial from the others of its experiment."""
        parts = [self.variant, *(f"{path} = {show(value)}" for path, value in self.values.items())]
        parts += ["clean targets"] if self.clean_targets else []
        return ", ".join(part for part in (*parts, f"seed {self.seed}") if part)

    def resolved(self) -> dict[str, Any]:
        """Return the architecture as plain data, without the fields that its training does not depend on."""
        tree = json.loads(self.architecture.to_json())
        return {key: value for key, value in tree.items() if key not in _OUTSIDE}

    def value_at(self, path: str) -> Any:
        """Return the value at a path of the resolved architecture, or None where there is none."""
        here: Any = self.resolved()
        for key in keys_of(path):
            try:
                here = here[key]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def key(self, data: str) -> str:
        """Return a text that identifies this training; ``data`` is the fingerprint of the data set."""
        content = {"architecture": self.resolved(), "clean_targets": self.clean_targets, "data": data}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def plan(file: ExperimentFile, catalogue: Catalogue, quick: bool = False) -> list[Trial]:
    """Return the trials of an experiment, or of its quick form, in their order.

    Raises:
        SpecError: when a value does not fit its architecture, with its place in the experiment's file.
    """
    experiment = file.experiment.quickly() if quick else file.experiment
    trials: list[Trial] = []
    variants = experiment.variants or (Variant(name="-"),)
    grid = [dict(zip(experiment.vary, values, strict=True)) for values in itertools.product(*experiment.vary.values())]
    layers = 0
    for variant, values in itertools.product(variants, grid):
        architecture = _resolved(file, variant, {**experiment.set, **variant.set, **values}, catalogue)
        layers += written_layers(architecture.model_dump(mode="json"))
        if layers > MAX_LAYERS_IN_ALL:
            message = f"the architectures up to trial {len(trials) + 1:,} have {layers:,} layers; at most "
            message += f"{MAX_LAYERS_IN_ALL:,} are planned in one experiment; split it"
            raise file.error(Problem(message))
        for targets, seed in itertools.product(experiment.targets, experiment.seeds):
            training = architecture.trained.model_copy(update={"seed": seed})
            trials.append(
                Trial(
                    architecture=architecture.model_copy(update={"training": training}),
                    clean_targets=targets == "clean",
                    variant=variant.name if experiment.variants else "",
                    series=variant.series,
                    values=values,
                    timed=experiment.timed and seed == experiment.seeds[0],
                )
            )
    return trials


def _resolved(file: ExperimentFile, variant: Variant, overrides: dict[str, Any], catalogue: Catalogue) -> Architecture:
    base = file.base(variant.base or file.experiment.base)
    try:
        architecture = load_architecture(base, overrides=overrides, catalogue=catalogue)
    except SpecError as error:
        # A mistake in the architecture's own file is reported with its place there.
        raise file.error(*(_in_file(problem, file, variant, overrides) for problem in error.problems)) from None
    if architecture.training is None:
        place = _place_of_base(file, variant)
        raise file.error(Problem(f'{base} has no "training" block; name an architecture that has', place))
    # A run is continued if its spec is the same, and a new description makes no difference.
    changes = {"schema_": None, "name": "trial", "description": "", "requires": None}
    return architecture.model_copy(update=changes)


def _in_file(problem: Problem, file: ExperimentFile, variant: Variant, overrides: dict[str, Any]) -> Problem:
    """Return a problem of an architecture as one of the experiment, if the experiment's file must be changed."""
    base = variant.base or file.experiment.base
    for path, value in reversed(overrides.items()):
        keys = keys_of(path)
        through_constant = keys[0] == DEFINE and from_constant(str(keys[-1])) in problem.message
        if problem.path[: len(keys)] == keys or through_constant:
            message = f"{json_path(problem.path)} of {base}: {problem.message}"
            return Problem(message, _origin(file, variant, path, value))
    if problem.path or problem.line is not None:
        return problem
    return Problem(f"{problem.source}: {problem.message}", _place_of_base(file, variant))


def _place_of_base(file: ExperimentFile, variant: Variant) -> jsontext.Path:
    """Return where in the experiment's file the architecture of a variant is named."""
    if variant.base is None:
        return ("base",)
    return "variants", [given.name for given in file.experiment.variants].index(variant.name), "base"


def _origin(file: ExperimentFile, variant: Variant, path: str, value: Any) -> jsontext.Path:
    """Return the place of the value for ``path`` in the experiment's file."""
    experiment = file.experiment
    if value in experiment.vary.get(path, ()):
        return "vary", path, experiment.vary[path].index(value)
    if value in experiment.quick.vary.get(path, ()):
        return "quick", "vary", path, experiment.quick.vary[path].index(value)
    for index, given in enumerate(experiment.variants):
        if given.name == variant.name and path in given.set:
            return "variants", index, "set", path
    if path in experiment.set and experiment.set[path] == value:
        return "set", path
    return ("quick", "set", path) if path in experiment.quick.set else ()
