"""Another process, with another hash seed, clock and environment, that says what components give there.

It is started when it is first asked, once for all that this process tests, and ends with it. What goes to and fro is
JSON, a line for each case.
"""

from __future__ import annotations

import atexit
import base64
import importlib
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor

from layerkit.contracts.specs import Spec
from layerkit.registry.catalogue import installed
from layerkit.registry.discovery import PluginSettings
from layerkit.testing.cases.case import CASES, Case
from layerkit.testing.cases.subjects import UNINSTALLED, subjects
from layerkit.testing.check import CheckFailed, not_applicable
from layerkit.testing.instruments.outcomes import Outcome, outcome_of

CHANGED = ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "LANG", "TZ", "PWD", "SEED", "RANDOM_SEED", "TERM", "SHLVL")
"""Environment variables that are others there."""


class Elsewhere:
    """The other process."""

    def __init__(self) -> None:
        seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
        environment = os.environ | dict.fromkeys(CHANGED, "elsewhere-77") | {"PYTHONHASHSEED": seed, "SEED": "77"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            text=True,
        )
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.communicate()

    def outcome(self, case: Case[Spec]) -> Outcome:
        """Return what the component of ``case`` gives there.

        Raises:
            NotApplicable: where the component is not to be found there.
            CheckFailed: where it fails there.
        """
        spec = case.subject.spec
        if spec.__module__ == "__main__":
            not_applicable("another process cannot import what is written in __main__: put it into a module")
        catalogue = case.subject.catalogue
        without = [plugin.distribution for plugin in catalogue.plugins if plugin.status == "blocked"]
        # Others that are tested beside it, and that may stand in it.
        beside = [its.spec for its in catalogue.components.values() if its.distribution == UNINSTALLED]
        request = {
            "specs": [(its.__module__, its.__qualname__) for its in (spec, *beside)],
            "path": [path for path in sys.path if path],
            "without": without,
            "threads": torch.get_num_threads(),
            "token": case.token(),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            not_applicable("the other process could not be started, or has ended")
        answer = json.loads(line)
        if "absent" in answer:
            not_applicable(f"another process does not find the class of its spec ({answer['absent']})")
        if "failed" in answer:
            raise CheckFailed(f"in another process it fails: {answer['failed']}")
        return {name: _read(its) for name, its in answer["outcome"].items()}


@cache
def elsewhere() -> Elsewhere:
    """Return the one other process."""
    return Elsewhere()


def _written(tensor: Tensor) -> list[Any]:
    data = tensor.detach().contiguous().view(-1)
    raw = bytes(data.view(torch.uint8).numpy()) if data.numel() else b""
    return [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), base64.b64encode(raw).decode()]


def _read(written: list[Any]) -> Tensor:
    name, shape, text = written
    dtype, raw = getattr(torch, name), bytearray(base64.b64decode(text))
    return torch.frombuffer(raw, dtype=dtype).reshape(shape) if raw else torch.empty(shape, dtype=dtype)


# In the other process


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    sys.path[:] = request["path"]
    torch.set_num_threads(request["threads"])
    try:
        catalogue = installed(PluginSettings(without=frozenset(request["without"])))
        subject, *_ = subjects([_imported(*place) for place in request["specs"]], catalogue)
        case = CASES[subject.kind].from_token(subject, request["token"])
    except Exception as error:
        return {"absent": f"{type(error).__name__}: {error}"}
    try:
        with torch.no_grad():
            return {"outcome": {name: _written(its) for name, its in outcome_of(case).items()}}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _imported(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _serve() -> None:
    """Answer each line of the input by one of the output, until there are no more."""
    from layerkit.testing.instruments.surroundings import another_place_and_time

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What a component prints goes where errors go, and not between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with another_place_and_time([]):
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
