"""Large cases cross the bounds that small ones do not reach, and are made smaller where they fail."""

from __future__ import annotations

import pytest
import zoo_large
from zoo_building import Scaled, spec_of

from layerkit.registry.catalogue import installed
from layerkit.testing import run
from layerkit.testing.cases.case import CASES, LayerCase
from layerkit.testing.cases.examples import Examples
from layerkit.testing.cases.large import MOST_VALUES, smaller
from layerkit.testing.cases.subjects import Subject, subjects
from layerkit.testing.profiles import DEFAULT, QUICK


def layers_cases(name: str | type) -> list[LayerCase]:
    (subject,) = subjects([name])
    return [case for case in Examples(subject, DEFAULT).large if isinstance(case, LayerCase)]


@pytest.mark.parametrize("name", ["relu", "conv2d", spec_of(Scaled)], ids=str)
def test_the_large_cases_of_a_layer_have_many_samples_and_many_channels(name: str | type) -> None:
    cases = layers_cases(name)
    assert max(case.batch for case in cases) > 32
    assert max(case.input_shape[0] for case in cases) > 64
    assert max(max(case.input_shape[1:], default=0) for case in cases) > 64
    assert all(case.batch * max(1, case.input_shape[0]) <= MOST_VALUES for case in cases)


@pytest.mark.parametrize("key", [("loss", "mse"), ("optimizer", "sgd"), ("noise", "gaussian"), ("schedule", "cosine")])
def test_components_of_every_kind_have_large_cases_that_survive_as_tokens(key: tuple[str, str]) -> None:
    subject = Subject(installed().components[key], installed())
    cases = Examples(subject, QUICK).large
    assert len(cases) == QUICK.large
    assert [CASES[subject.kind].from_token(subject, case.token()) for case in cases] == list(cases)


@pytest.mark.parametrize("name", ["conv2d", "huber", "sgd", "gaussian", "cosine"])
def test_the_example_is_always_among_the_cases(name: str) -> None:
    (subject,) = subjects([name])
    configuration = {"type": name} | subject.spec.example
    examples = Examples(subject, QUICK)
    assert configuration in [case.configuration for case in examples.all]
    assert configuration in [case.configuration for case in examples.large]


def test_half_of_the_cases_of_a_picture_layer_have_height_and_width() -> None:
    (subject,) = subjects(["conv2d"])
    shapes = [case.input_shape for case in Examples(subject, DEFAULT).all]
    assert sum(min(shape[1:]) > 1 for shape in shapes) > len(shapes) / 2
    assert any(len(set(shape)) == 1 for shape in shapes), "as high as wide as it has channels"
    assert any(shape[1] == shape[2] != shape[0] for shape in shapes), "square"
    assert any(max(shape[1:]) > 2 * min(shape[1:]) for shape in shapes), "oblong"


def test_smaller_cases_have_one_size_less() -> None:
    case = layers_cases("relu")[0]
    found = list(smaller(case))
    assert found
    for other in found:
        sizes = zip((case.batch, *case.input_shape), (other.batch, *other.input_shape), strict=True)
        assert sum(small < large for large, small in sizes) == 1


def test_a_failure_of_a_large_case_is_made_as_small_as_it_fails() -> None:
    spec = spec_of(zoo_large.WrongFromTheSixtyFourthChannel)
    (result,) = run(spec, only="gradients_at_large_sizes").results
    assert result.failure is not None and result.failure.case is not None
    assert result.failure.case["input shape"] == (65, 1, 1), "the 65th channel is the first that is wrong"
    assert "the gradient of scale" in result.failure.message


def test_a_report_counts_large_cases() -> None:
    report = run("relu", only="gradients_at_large_sizes", profile="quick")
    assert report.to_dict()["large"] == report.results[0].large == QUICK.large
    assert f"{QUICK.large} large cases" in report.summary()
