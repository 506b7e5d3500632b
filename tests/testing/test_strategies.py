"""What is drawn is valid, and hypothesis knows the specs by their types."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerkit import LayerSpec, ShapeError, UserError
from layerkit.builtin.layers.conv2d import Conv2dSpec
from layerkit.registry.catalogue import installed
from layerkit.testing.cases import strategies
from layerkit.testing.cases.case import CASES
from layerkit.testing.cases.subjects import Subject

EVERYTHING = sorted(installed().components)
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("key", EVERYTHING, ids="-".join)
@FEW
@given(data=st.data())
def test_cases_of_every_component_are_valid_and_survive_as_tokens(key: tuple[str, str], data: st.DataObject) -> None:
    subject = Subject(installed().components[key], installed())
    case = data.draw(strategies.cases(subject))
    assert subject.fits_schema(case.configuration)
    again = CASES[subject.kind].from_token(subject, case.token())
    assert again == case
    if subject.kind == "layer":
        assert all(size > 0 for size in case.spec.output_shape(case.input_shape))


@FEW
@given(st.from_type(Conv2dSpec))
def test_hypothesis_draws_a_spec_by_its_type(spec: Conv2dSpec) -> None:
    assert spec.out_channels <= 7 or spec.out_channels == Conv2dSpec.example["out_channels"]


@FEW
@given(st.from_type(LayerSpec))
def test_hypothesis_draws_any_layer_by_the_type_of_all(spec: LayerSpec) -> None:
    assert isinstance(spec, LayerSpec)


@FEW
@given(st.data())
def test_shapes_are_those_that_the_spec_accepts(data: st.DataObject) -> None:
    spec = data.draw(strategies.specs("conv2d"))
    shape = data.draw(strategies.input_shapes(spec))
    assert min(spec.output_shape(shape)) > 0
    with pytest.raises(ShapeError):
        spec.output_shape(shape[:2])


def test_a_name_of_several_components_is_refused() -> None:
    with pytest.raises(UserError, match="names"):
        strategies.subject_of("layerkit")


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_starting_hypothesis_loads_neither_torch_nor_the_specs() -> None:
    modules = loaded_by("import hypothesis")
    assert "layerkit.testing.entry" in modules, "the entry point is installed"
    assert not modules & {"torch", "pydantic", "layerkit.contracts.specs", "layerkit.testing.cases.strategies"}


def test_the_kit_is_imported_when_it_is_used() -> None:
    assert not loaded_by("import layerkit.testing") & {"torch", "hypothesis", "pytest"}


def test_without_hypothesis_the_kit_says_what_to_install() -> None:
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'hypothesis' else find(name, *a)\n"
        "import layerkit.testing\n"
        "try: layerkit.testing.run\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "UserError the conformance kit needs hypothesis: pip install 'layerkit[testing]'"
