"""The kit in plain Python: what it returns, repeats, replays and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import zoo_correct
import zoo_drawing
import zoo_gradients
import zoo_promises
import zoo_state
from hypothesis import configuration
from zoo_building import spec_of

from layerkit import PluginError, UserError
from layerkit.registry.catalogue import installed
from layerkit.testing import checks_for, run
from layerkit.testing.cases.subjects import of_distribution, subjects
from layerkit.testing.profiles import DEFAULT, QUICK, THOROUGH, Profile
from layerkit.testing.results import Failure, Report, Result

HALF = spec_of(zoo_gradients.DividedByBatch)
RIGHT = spec_of(zoo_correct.ChannelScale)


def test_a_report_counts_components_checks_and_examples() -> None:
    report = run("relu", "mse", profile="quick")
    assert [name for _, name in report.components()] == ["relu", "mse"]
    assert len(report.results) == len(checks_for("layer")) + len(checks_for("loss"))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["examples"] == sum(result["examples"] for result in data["results"]) > 100
    assert "2 components" in report.summary()
    assert not report.failures


def test_a_check_that_is_not_applicable_says_why() -> None:
    (result,) = run("relu", only="parameter_gradients", profile="quick").results
    assert (result.outcome, result.reason) == ("not applicable", "the layer has no parameters")


def test_a_failure_says_what_is_known_about_it() -> None:
    (result,) = run(HALF, only="parameter_gradients").results
    failure = result.failure
    assert failure.case["input shape"] == (1, 2, 3) or len(failure.case["input shape"]) == 3
    batch = failure.case["batch size"]
    assert failure.ratio == pytest.approx(1 / batch, rel=1e-5)
    assert "batch size" in failure.guess
    text = result.explain()
    assert "parameter_gradients" in text and "analytic" in text and "gradient of scale" in text
    assert f'replay="{failure.token}"' in text


def test_what_several_checks_have_met_alike_is_told_once() -> None:
    def failed(check: str, message: str) -> Result:
        return Result("layer", "sad", "layerkit-sad", check, "failed", failure=Failure(message))

    report = Report(
        (failed("one", "it breaks"), failed("two", "it is wrong"), failed("three", "it breaks")), "quick", 0
    )
    assert report.explained() == [
        "layer sad: one: failed\n  it breaks\n  the same in three",
        "layer sad: two: failed\n  it is wrong",
    ]
    assert report.explain().count("it breaks") == 1


def test_the_same_seed_finds_the_same_failure() -> None:
    first, again = (run(HALF, only="parameter_gradients", seed=5).failures[0].failure for _ in range(2))
    assert first == again


def test_a_token_runs_the_same_case_again() -> None:
    failure = run(HALF, only="parameter_gradients", seed=5).failures[0].failure
    (result,) = run(HALF, only="parameter_gradients", replay=failure.token).results
    assert (result.outcome, result.examples) == ("failed", 1)
    assert result.failure == failure


def test_the_command_of_an_installed_component_replays_it() -> None:
    (subject,) = subjects(["conv2d"])
    from layerkit.testing.battery import check_named
    from layerkit.testing.engine import _replay

    command = _replay(check_named("input_gradient"), subject, "TOKEN")
    assert command == "layerkit conformance conv2d --only input_gradient --replay TOKEN"


def test_failures_are_made_small() -> None:
    failure = run(spec_of(zoo_gradients.SignTurned), only="input_gradient").failures[0].failure
    assert failure.case["batch size"] in (1, 2)
    assert max(failure.case["input shape"]) <= 3
    assert "sign" in failure.guess


def test_a_component_that_does_not_do_the_same_twice_is_reported_all_the_same() -> None:
    report = run(spec_of(zoo_state.GradientsOnTheClass), only="gradients_accumulate", profile="quick")
    assert len(report.results) == 1


def test_a_component_that_changes_torchs_settings_changes_them_for_no_other_check() -> None:
    before = torch.get_num_threads()
    profile = Profile("one case", examples=1, shrinks=0)
    report = run(spec_of(zoo_promises.ThreadsChanged), only="backward_needs_forward", profile=profile)
    assert report.results[0].examples == 1, "there it makes one forward, which changes them"
    assert torch.get_num_threads() == before


def test_known_failures_are_expected_and_strict() -> None:
    known = {"parameter_gradients": "divides on purpose", "input_gradient": "says nobody"}
    outcomes = {result.check: result for result in run(HALF, profile="quick", known_failures=known).results}
    assert outcomes["parameter_gradients"].outcome == "known failure"
    assert outcomes["parameter_gradients"].reason == "divides on purpose"
    assert outcomes["input_gradient"].outcome == "failed"
    assert "take it off the list" in outcomes["input_gradient"].explain()
    by_component = {HALF.name(): {"parameter_gradients": "divides on purpose"}}
    (result,) = run(HALF, only="parameter_gradients", known_failures=by_component).results
    assert result.outcome == "known failure"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"what": ["convd2"]}, 'no component and no installed plugin is called "convd2"; did you mean "conv2d"'),
        ({"what": ["relu"], "only": "input_gradients"}, 'did you mean "input_gradient"'),
        ({"what": ["mse"], "only": "input_gradient"}, "for components of the kind layer"),
        ({"what": ["relu"], "profile": "slow"}, "known are quick, default, thorough"),
        ({"what": ["relu"], "replay": "abc"}, "name the component, and the check"),
        ({"what": ["relu"], "only": "input_gradient", "replay": "abc"}, "does not stand for a case of the layer relu"),
        ({"what": ["relu"], "known_failures": {"gradients": "x"}}, 'unknown check "gradients"'),
        ({"what": ["relu"], "known_failures": {"elu": {"input_gradient": "x"}}}, 'name the component "elu"'),
        ({"what": [3]}, "expected a name, a Spec class or a plugin module"),
        ({"what": [json]}, "has none of the hooks"),
    ],
)
def test_what_the_user_gets_wrong_is_said(arguments: dict, match: str) -> None:
    what = arguments.pop("what")
    with pytest.raises(UserError, match=match):
        run(*what, **arguments)


def test_subjects_come_by_name_class_module_and_distribution() -> None:
    import layerkit.builtin

    everything = subjects()
    assert len(everything) == len(installed().components)
    assert {subject.name for subject in of_distribution("layerkit")} >= {"conv2d", "mse", "sgd", "gaussian"}
    assert [subject.name for subject in subjects([RIGHT, "relu"])] == ["channel_scale", "relu"]
    assert {subject.name for subject in subjects([layerkit.builtin])} <= {subject.name for subject in everything}
    assert subjects([installed().components["layer", "relu"].spec])[0].installed


def test_a_plugin_that_did_not_load_is_an_error() -> None:
    from dataclasses import replace

    catalogue = installed()
    broken = replace(catalogue.plugins[0], name="sad", distribution="layerkit-sad").failed("it is broken")
    catalogue = replace(catalogue, plugins=(*catalogue.plugins, broken))
    with pytest.raises(PluginError, match="it is broken"):
        subjects(["layerkit-sad"], catalogue)


def test_the_thorough_profile_has_ten_times_the_examples() -> None:
    assert THOROUGH.examples == 10 * DEFAULT.examples
    assert QUICK.examples < DEFAULT.examples


def test_a_spec_of_which_nothing_can_be_drawn_is_told_once() -> None:
    nothing_fits = spec_of(zoo_drawing.NothingFits)
    report = run(nothing_fits, profile="quick")
    assert [result.check for result in report.failures] == ["cases_can_be_drawn"]
    assert {result.reason for result in report.results if result.outcome == "not applicable"} == {
        "no valid case could be drawn",
        "the spec has no example",
    }
    sentence = (
        "no valid case could be drawn in 1 tries: output_shape takes no shape that was tried, and says for "
        "(3, 3, 3): this does not fit; give the spec sample_shapes"
    )
    assert sentence in report.explain()
    (alone,) = run(nothing_fits, only="input_gradient", profile="quick").results
    assert (alone.outcome, alone.failure.message) == ("failed", sentence)


@pytest.mark.parametrize(
    ("animal", "match"),
    [
        (zoo_drawing.ShapeDividedByZero, r"says for \(3, 3, 3\): ZeroDivisionError: "),
        (zoo_drawing.NeverTogether, "the product of first and second must be 97; give the spec an example that is val"),
    ],
)
def test_why_nothing_can_be_drawn_is_said(animal: type, match: str) -> None:
    (result,) = run(animal, only="cases_can_be_drawn", profile="quick").results
    assert re.search(match, result.explain())


def test_a_spec_whose_validator_fails_is_told_in_the_report() -> None:
    (result,) = run(zoo_drawing.ValidatorDividesByZero, only="cases_can_be_drawn", profile="quick").results
    assert re.search("ZeroDivisionError: .*; a spec refuses with a ValueError", result.explain())


def test_a_component_that_no_catalogue_takes_is_told() -> None:
    (result,) = run(zoo_drawing.AliasedExample, only="catalogue_takes_it").results
    assert "layerkit would load no component of a plugin with this one: AliasedExample: its example has" in (
        result.explain()
    )


def test_nothing_is_left_in_the_folder_where_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "__hypothesis_home_directory_default", tmp_path / ".hypothesis")
    run(RIGHT, only="input_gradient", profile="quick")
    assert not list(tmp_path.iterdir())
    configuration.set_hypothesis_home_dir(tmp_path / "mine")
    try:
        run(RIGHT, only="input_gradient", profile="quick")
        assert configuration.storage_directory("x", intent_to_write=False).home_directory == tmp_path / "mine"
    finally:
        configuration.set_hypothesis_home_dir(None)
