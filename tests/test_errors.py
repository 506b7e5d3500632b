from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from layerkit import errors
from layerkit.errors import LayerkitError, Problem, RunError, ShapeError, SpecError, StateError, UserError


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


def test_every_exception_of_the_module_is_a_layerkit_error_or_a_warning_for_the_user() -> None:
    own = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    warnings = {error for error in own if issubclass(error, UserWarning)}
    assert own - warnings <= subclasses(LayerkitError)
    assert not warnings & subclasses(LayerkitError)
    assert len(own - warnings) >= 9


def test_no_other_file_has_an_error_of_layerkit() -> None:
    names = {error.__name__ for error in subclasses(LayerkitError)}
    elsewhere = {
        (path.name, node.name)
        for path in Path(errors.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and names & {base.id for base in node.bases if isinstance(base, ast.Name)}
    }
    assert {file for file, _ in elsewhere} == {"errors.py"}


@pytest.mark.parametrize("error", [ShapeError, SpecError])
def test_what_the_user_can_mend_exits_with_2(error: type[LayerkitError]) -> None:
    assert issubclass(error, UserError)
    assert error.exit_code == 2


def test_a_run_that_failed_exits_with_1() -> None:
    assert RunError("no memory").exit_code == StateError("backward first").exit_code == 1


def test_a_shape_error_gathers_its_path_from_the_inside_out() -> None:
    error = ShapeError("does not fit").inside("layers", 0).inside("layers", 3)
    assert str(error) == "layers[3].layers[0]: does not fit"
    assert str(ShapeError("does not fit")) == "does not fit"


def test_a_problem_says_where_what_and_in_which_component() -> None:
    problem = Problem("expected at least 1, got 0", ("layers", 0, "stride"), "conv2d").at("net.json", 4, 7)
    assert str(problem) == "net.json:4:7: layers[0].stride (conv2d): expected at least 1, got 0"
    assert problem.to_dict() == {
        "file": "net.json",
        "line": 4,
        "column": 7,
        "path": "layers[0].stride",
        "type": "conv2d",
        "message": "expected at least 1, got 0",
    }


def test_a_problem_without_a_place_is_its_message() -> None:
    assert str(Problem("missing", source="net.json")) == "net.json: missing"


def test_a_spec_error_has_one_line_a_problem() -> None:
    error = SpecError((Problem("one", ("a",)), Problem("two", ("b",))))
    assert str(error) == "<text>: a: one\n<text>: b: two"


@pytest.mark.parametrize("error", [SpecError((Problem("one", ("a", 0)),)), ShapeError("small", ("layers", 1))])
def test_errors_survive_the_way_between_processes(error: LayerkitError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
