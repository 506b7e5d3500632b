"""ONNX files, by torch's own exporter."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from layerkit.contracts.specs import Shape
from layerkit.errors import UserError

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Make sure that what writes and reads ONNX files is there.

    Raises:
        UserError: when it is not.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"ONNX files need {' and '.join(missing)}: pip install 'layerkit[export]'")


def write_onnx(file: Path, module: Any, shape: Shape, any_size: bool) -> None:
    """Write a module of ``torch.nn`` in evaluation mode, for batches of any length.

    Args:
        file: to write.
        module: the network's twin.
        shape: of one sample of the input, which is called "input"; the answer is "output".
        any_size: whether it takes pictures of other heights and widths too.
    """
    dynamic = {0: torch.export.Dim.DYNAMIC}
    if any_size:
        dynamic |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of packages that are not needed here
        torch.onnx.export(
            module,
            (torch.rand(2, *shape),),
            str(file),
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=(dynamic,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def loaded(file: Path) -> Callable[[Tensor], Tensor]:
    """Return what sends a batch through an ONNX file, by onnxruntime."""
    import onnxruntime  # type: ignore[import-untyped, import-not-found, unused-ignore] # which has no types, and is an extra

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0])
