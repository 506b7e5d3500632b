"""``layerkit conformance``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zoo_gradients
from zoo_building import spec_of

from layerkit import cli
from layerkit.testing import reporting, run
from layerkit.testing.battery import BATTERY
from layerkit.testing.cases.subjects import of_distribution
from layerkit.testing.results import Failure, Report, Result


def call(*arguments: str) -> int:
    return cli.run(["conformance", *arguments])


def test_one_component_is_proven_and_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("relu", "--profile", "quick") == 0
    out = capsys.readouterr().out
    assert "relu" in out and "1 components" in out and "0 failed" in out
    assert "the layer has no parameters: " in out, "what is not applicable is said with its reason"
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("relu", "--only", "input_gradient", "--json", "--profile", "quick") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["components"], data["checks"], data["outcomes"]) == (1, 1, {"passed": 1})


def test_a_package_in_several_processes_gives_what_one_gives(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    # In a process of its own each time: hypothesis likes the constants of the modules that happen to be loaded.
    package = "layerkit-activations"
    names = [subject.name for subject in of_distribution(package)]
    command = ["-m", "layerkit", "conformance", "--plugin", package, "--json", "--profile", "quick"]
    outputs = []
    for jobs in ("1", "2"):
        done = python(*command, "--only", "building_is_contained", "--jobs", jobs, check=True)
        results = json.loads(done.stdout)["results"]
        outputs.append([{k: v for k, v in result.items() if k != "seconds"} for result in results])
    assert outputs[0] == outputs[1]
    assert [result["component"] for result in outputs[0]] == names
    assert len(names) >= 4, "fewer are not worth a process of their own"


def test_several_processes_leave_out_kinds_that_a_check_is_not_for(
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    command = ["-m", "layerkit", "conformance", "relu", "mse", "flatten", "sgd", "residual", "--json", "--jobs", "2"]
    done = python(*command, "--only", "input_gradient", "--profile", "quick", check=True)
    assert [result["component"] for result in json.loads(done.stdout)["results"]] == ["relu", "flatten", "residual"]


def test_a_token_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    from layerkit.testing.cases.examples import Examples
    from layerkit.testing.cases.subjects import subjects
    from layerkit.testing.profiles import QUICK

    case = Examples(subjects(["conv2d"])[0], QUICK).all[-1]
    assert call("conv2d", "--only", "input_gradient", "--replay", case.token()) == 0
    assert "1 examples" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a component, or give --plugin DISTRIBUTION or --all"),
        (("rleu",), 'did you mean "relu"'),
        (("relu", "--only", "gradient"), 'unknown check "gradient"'),
        (("relu", "--profile", "slow"), 'unknown profile "slow"'),
        (("relu", "--replay", "x"), "a token stands for one case of one check"),
        (("relu", "--report", "report.pdf"), "a report is written as .md or .html"),
    ],
)
def test_mistakes_of_the_user_end_with_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_checks_are_listed_with_what_they_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--checks") == 0
    out = capsys.readouterr().out
    assert all(f"{check.name} (" in out and check.statement in out for check in BATTERY)


def test_a_failure_ends_with_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Result("layer", "relu", "layerkit", "input_gradient", "failed", failure=Failure("it is [wrong]"))
    monkeypatch.setattr("layerkit.testing.running.run_subjects", lambda *_, **__: Report((failed,), "quick", 0))
    assert call("relu") == 1
    assert "it is [wrong]" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["md", "html"])
def test_a_report_has_every_check_and_every_failure(tmp_path: Path, ending: str) -> None:
    report = run(spec_of(zoo_gradients.SignTurned), profile="quick")
    path = tmp_path / f"report.{ending}"
    reporting.write_report(report, path)
    text = path.read_text()
    for result in report.results:
        assert result.check in text
    assert "sign_turned" in text and "ratio -1" in text and "not applicable" in text
