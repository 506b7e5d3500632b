"""``layerkit serve``."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from layerkit.cli import run


def test_without_the_extra_a_sentence_names_it(monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("layerkit.environment.find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert run(["serve"]) == 2
    assert capsys.readouterr().err == "error: the page needs uvicorn: pip install 'layerkit[serve]'\n"


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 2
    assert f"error: --port {port}: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--max-megabytes", "0")])
def test_values_out_of_range(arguments, capsys):
    assert run(["serve", *arguments]) == 2
    assert f"Invalid value for '{arguments[0]}'" in capsys.readouterr().err


def test_it_says_where_it_is_and_listens_to_this_computer_alone(monkeypatch, capsys):
    import uvicorn

    served = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(sockets[0].getsockname()))
    assert run(["serve", "--port", "0", "--max-megabytes", "3"]) == 0
    ((host, port),) = served
    assert host == "127.0.0.1"
    assert capsys.readouterr().out == f"http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
