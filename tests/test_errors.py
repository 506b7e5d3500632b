from __future__ import annotations

import pickle

import pytest

from layerkit.errors import (
    LayerkitError,
    Problem,
    RunError,
    ShapeError,
    SpecError,
    StateError,
    UserError,
    json_path,
    show,
)


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


def test_every_exception_of_the_module_is_a_layerkit_error() -> None:
    import layerkit.errors as module

    own = {value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert own <= subclasses(LayerkitError)
    assert len(own) >= 9


@pytest.mark.parametrize("error", [ShapeError, SpecError])
def test_what_the_user_can_mend_exits_with_2(error: type[LayerkitError]) -> None:
    assert issubclass(error, UserError)
    assert error.exit_code == 2


def test_a_run_that_failed_exits_with_1() -> None:
    assert RunError("no memory").exit_code == StateError("backward first").exit_code == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("layers", 3, "kernel_size"), "layers[3].kernel_size"),
        (("layers", 3, "kernel_size", 1), "layers[3].kernel_size[1]"),
        (("$schema",), "$schema"),
        (("training", "a.b"), 'training["a.b"]'),
        (("training", ""), 'training[""]'),
        (("x\x1b[31m",), '["x\\u001b[31m"]'),
    ],
)
def test_a_path_is_written_as_in_javascript(path: tuple[str | int, ...], text: str) -> None:
    assert json_path(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "true"),
        ([1, "a"], '[1, "a"]'),
        ("é", '"é"'),
        ("\x9b31m\u202e", '"\\u009b31m\\u202e"'),
        ("x" * 100, '"' + "x" * 56 + "..."),
        ({1, 2}, "{1, 2}"),
    ],
)
def test_a_value_is_shown_short_and_without_control_characters(value: object, text: str) -> None:
    assert show(value) == text


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
