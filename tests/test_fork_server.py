"""A program in a copy of a process is what it is in a new one."""

from __future__ import annotations

import pytest

SEEN = "import os, sys; print(*sorted(name for name in sys.modules if 'layerkit' in name), os.getcwd(), sys.argv[1:])"


def test_it_has_the_streams_the_folder_and_the_arguments_and_no_layerkit(python, tmp_path):
    done = python("-c", SEEN + "; print('no', file=sys.stderr)", "x", 3, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path} ['x', '3']\n", "no\n")


@pytest.mark.parametrize(
    ("program", "code", "error"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('why')", 1, "why\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import atexit, sys; atexit.register(sys.stderr.write, 'last')", 0, "last"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
    ],
)
def test_it_ends_as_an_interpreter_does(python, program, code, error):
    done = python("-c", program)
    assert done.returncode == code
    assert done.stderr.endswith(error) and bool(done.stderr) == bool(error)


def test_it_is_the_main_program_and_has_the_modules_of_its_path(python, tmp_path):
    (tmp_path / "mine.py").write_text("print(__name__, 'nothing' in dir())")
    assert python("-m", "mine", env={"PYTHONPATH": str(tmp_path)}).stdout == "__main__ False\n"
    assert python("-c", "import mine; print(__name__)", env={"PYTHONPATH": str(tmp_path)}).stdout.endswith("__main__\n")


def test_a_program_that_fails_where_it_must_not_is_a_failure(python):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        python("-c", "1 / 0", check=True)
