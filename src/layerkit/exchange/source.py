"""A network as readable Python that needs torch and safetensors only: a module of ``torch.nn``, written down.

The text is made of names of classes and of numbers. Nothing that a spec says in words stands in it, so that a spec
cannot bring code into the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from layerkit.contracts.specs import Shape
from layerkit.contracts.twin import Twin
from layerkit.errors import PluginError, UserError

WEIGHTS = "network.safetensors"
_SEQUENCES = {
    "Residual": '''

class Residual(nn.Sequential):
    """x + f(x), where f are the modules inside, one after the other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)
''',
    "Skip": '''

class Skip(nn.Sequential):
    """x and f(x) along the channels, where f are the modules inside, one after the other."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, super().forward(x)), 1)
''',
}
_FILE = '''"""A network that layerkit has trained, as a module of torch.nn. It needs torch and safetensors alone.

    network = load()            # with the weights beside this file
    y = network(x)              # x: float32 (N, {shape}), values from 0 to 1
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
{sequences}

def build() -> nn.Module:
    """Return the network with random weights."""
    return {network}


def load(weights: str | Path = Path(__file__).with_name("{weights}")) -> nn.Module:
    """Return the network with its weights, in evaluation mode."""
    network = build()
    network.load_state_dict(load_file(weights))
    return network.eval()
'''


def source_of(twin: Twin, shape: Shape) -> str:
    """Return the text of a Python file with the functions ``build`` and ``load``.

    Args:
        twin: of the network.
        shape: of one sample of its input.

    Raises:
        PluginError: when a layer's twin has arguments that are no numbers, texts or tuples of these.
    """
    used = {each.name for each in _all(twin)}
    sequences = "".join(text for name, text in _SEQUENCES.items() if name in used)
    return _FILE.format(
        sequences=sequences, network=_constructed(twin, 1), weights=WEIGHTS, shape=", ".join(map(str, shape))
    )


def functions_in(file: Path) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return ``build`` and ``load`` of a file with the text of :func:`source_of`.

    Raises:
        UserError: when Python cannot read it, because parts of the network are nested too deeply.
    """
    spec = spec_from_file_location("exported_network", file)
    assert spec is not None and spec.loader is not None  # which is so for every name that ends with .py
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise UserError(f"the network is nested too deeply for a Python file: {error}") from None
    return module.build, module.load


def _all(twin: Twin) -> list[Twin]:
    return [twin, *(each for inner in twin.inside for each in _all(inner))]


def _constructed(twin: Twin, depth: int) -> str:
    """Return the call that makes a module, as it stands ``depth`` levels deep."""
    if not twin.name.isidentifier():
        raise PluginError(f"a layer says that it is {twin.name!r} in torch.nn, which is no name of a class")
    name = twin.name if twin.name in _SEQUENCES else f"nn.{twin.name}"
    if not twin.inside:
        return f"{name}({', '.join(f'{key}={_written(value)}' for key, value in twin.arguments.items())})"
    margin = "    " * (depth + 1)
    inside = "".join(f"{margin}{_constructed(each, depth + 1)},\n" for each in twin.inside)
    return f"{name}(\n{inside}{'    ' * depth})"


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({''.join(f'{_written(each)}, ' for each in value).strip()})"
    raise PluginError(f"{value!r} cannot be written into a Python file as an argument of a module of torch.nn")
