"""The plugin in runs of pytest of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

FUNCTIONS = '''
import pytest, torch
import pytest_gradients as gradients

class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output * weight, (grad_output * x).REDUCE(0)

@gradients.check(gradients.drawn("batch", 3), gradients.drawn(3))
def test_scale(x, weight):
    """Scaling is differentiated."""
    return Scale.apply(x, weight)

@pytest.mark.parametrize("factor", [2.0, 3.0])
@gradients.check(gradients.drawn("batch", 3), stochastic=False)
def test_with_parameters(x, factor):
    return factor * x * x

@gradients.check(lambda: (torch.ones(2, 3), torch.ones(3)))
def test_with_inputs_that_are_made(x, weight):
    return Scale.apply(x, weight)

def test_with_the_fixture(gradients):
    report = gradients.check_optimizer(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    assert report.kind == "optimizer"

def test_of_something_else():
    pass
'''


class Runs:
    """Runs pytest in a folder, in this process, which has imported torch already."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], installed: bool) -> None:
        self.folder, self._capsys = folder, capsys
        self._plugin = [] if installed else ["-p", "pytest_gradients.plugin"]

    def __call__(self, text: str, *options: str) -> tuple[int, str]:
        """Return the exit code and what is printed for tests with this text."""
        (self.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")
        (self.folder / f"{self.folder.name}.py").write_text(text)  # a name of its own, for this process keeps modules
        self._capsys.readouterr()
        arguments = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", *self._plugin, *options]
        code = pytest.main(
            [f"--rootdir={self.folder}", f"-c{self.folder / 'pytest.ini'}", *arguments, str(self.folder)]
        )
        return int(code), self._capsys.readouterr().out


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Runs:
    return Runs(tmp_path, capsys, request.config.pluginmanager.has_plugin("gradients"))


def test_correct_functions_pass_and_are_counted(run: Runs) -> None:
    code, output = run(FUNCTIONS.replace("REDUCE", "sum"))
    assert code == 0, output
    assert "6 passed" in output
    assert "5 functions, " in output and " 0 failed, " in output


def test_a_wrong_function_fails_with_the_report_and_no_traceback(run: Runs, tmp_path: Path) -> None:
    table, junit = tmp_path / "table.md", tmp_path / "junit.xml"
    code, output = run(FUNCTIONS.replace("REDUCE", "mean"), f"--gradients-table={table}", f"--junitxml={junit}")
    assert code == 1
    assert "2 failed, 4 passed" in output
    assert "the gradient of weight: " in output and "divided by" in output
    assert "Traceback" not in output and "checker.py" not in output
    rows = table.read_text().splitlines()
    assert rows[0].startswith("| test | function |") and len(rows) == 2 + 5
    assert "test_scale | test_scale | function |" in rows[2] and "gradients, sizes" in rows[2]
    properties: dict[str, Any] = {
        case.get("name"): {its.get("name"): its.get("value") for its in case.iter("property")}
        for case in ElementTree.parse(junit).iter("testcase")
    }
    assert properties["test_scale"]["gradients.failed"].startswith("gradients, sizes")
    assert int(properties["test_scale"]["gradients.passes_compared"]) > 20
    assert properties["test_of_something_else"] == {}


def test_the_marker_chooses_what_checks_gradients(run: Runs) -> None:
    code, output = run(FUNCTIONS.replace("REDUCE", "sum"), "-m", "gradients", "--collect-only")
    assert code == 0
    assert "5/6 tests collected" in output


def test_a_run_without_checks_says_nothing(run: Runs) -> None:
    code, output = run("def test_nothing(): pass\n")
    assert code == 0
    assert "gradients" not in output


def test_a_run_in_which_no_check_was_made_says_so(run: Runs) -> None:
    code, output = run("def test_forgotten(gradients): pass\n")
    assert code == 0
    assert "0 functions, 0 checks, 0 passes compared" in output


def test_nothing_imports_torch_before_a_test_needs_it(tmp_path: Path) -> None:
    program = (
        "import sys, pytest_gradients.plugin, pytest_gradients as g; g.check(g.drawn('n', 3))(lambda x: x); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
