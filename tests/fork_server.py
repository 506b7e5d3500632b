"""Runs Python programs in copies of a process that has imported torch and pydantic, which takes seconds otherwise.

It reads a JSON object a line: ``arguments`` as the interpreter takes them (``-c PROGRAM ...`` or ``-m MODULE ...``),
``cwd``, ``env``, and files for the three streams, ``input``, ``output`` and ``errors``. It answers with the exit code.

A copy has imported nothing of layerkit, so what becomes of a program there is what becomes of it in a new process; but
it ends without taking the interpreter apart, which would take as long as the rest.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import sys
import traceback
from contextlib import suppress
from types import ModuleType
from typing import Any

import pydantic  # noqa: F401 - for the copies
import torch  # noqa: F401 - for the copies


def next_program() -> dict[str, Any]:
    """Return, in a copy of this process, what it is to run; the process itself ends with its standard input."""
    while line := sys.stdin.readline():
        if copy := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), flush=True)
        else:
            return json.loads(line)
    os._exit(0)


def become(program: dict[str, Any]) -> list[str]:
    """Take the streams, the folder and the environment of a program, and return its arguments."""
    for stream, name in enumerate(("input", "output", "errors")):
        os.dup2(os.open(program[name], os.O_RDWR), stream)
    sys.stdin = os.fdopen(0)
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["env"])
    sys.path[:1] = ["", *filter(None, program["env"].get("PYTHONPATH", "").split(os.pathsep))]
    return program["arguments"]


def run(how: str, what: str, *arguments: str) -> None:
    """Run a program as ``__main__``."""
    sys.argv = [how, *arguments]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(sys.modules["__main__"]))


def exit_code_of(arguments: list[str]) -> int:
    """Run a program and return its exit code, as the interpreter makes it of what it raises."""
    try:
        run(*arguments)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    gc.freeze()  # what is here is not looked at again by the copies, and so not copied
    code = exit_code_of(become(next_program()))
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a program may have closed it, or have none
            stream.flush()
    os._exit(code)
