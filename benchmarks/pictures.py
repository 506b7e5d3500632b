"""Whole pictures through layerkit beside onnxruntime and torch.nn, interleaved in one process."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.networks import ROOT, twin_of
from benchmarks.timing import interleaved
from layerkit import Architecture, Denoiser, build, load_architecture

NAMES = ("table1", "shallow", "dncnn", "unet", "strong")
OWN, ONNX, CHANNELS_LAST = "layerkit", "onnxruntime", "channels-last"
LARGEST_WHOLE = 2**21
"""Pixels beyond which a rival, which holds all layers' outputs of a whole picture, is given it in tiles as well."""

Run = Callable[[Tensor], Tensor]


def shipped() -> dict[str, Architecture]:
    """Return the architectures that come with layerkit, by the name of their file."""
    return {name: load_architecture(ROOT / "architectures" / f"{name}.json") for name in NAMES}


def unavailable() -> str:
    """Return why there is no onnxruntime here, or ``""``."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - what torch exports with
    except ImportError as error:
        return f"{error.name} is not installed: pip install onnxruntime onnxscript"
    return "" if onnxruntime.__version__ else "onnxruntime is broken"


def onnx_run(architecture: Architecture, threads: int) -> Run:
    """Return what sends pictures (N, C, H, W), values 0..1, through the network's twin in onnxruntime."""
    import onnxruntime

    example = torch.rand(1, *architecture.input.shape)
    any_size = {dimension: torch.export.Dim.DYNAMIC for dimension in (0, 2, 3)}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.onnx")
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(twin_of(architecture).eval(), (example,), path, dynamic_shapes=(any_size,), dynamo=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


def bytes_through(run: Run, layout: torch.memory_format = torch.contiguous_format) -> Run:
    """Return what a user writes around a network to denoise pictures of bytes."""

    def denoise(picture: Tensor) -> Tensor:
        with torch.no_grad():
            x = picture.contiguous(memory_format=layout).float().div_(255)
            return run(x).mul_(255).clamp_(0, 255).round_().to(torch.uint8)

    return denoise


def in_tiles(run: Run, tile: int, halo: int) -> Run:
    """Return what sends a picture through ``run`` in tiles that see as far as the network does."""

    def denoise(picture: Tensor) -> Tensor:
        output = torch.empty_like(picture)
        for top in range(0, picture.shape[2], tile):
            for left in range(0, picture.shape[3], tile):
                above, before = min(top, halo), min(left, halo)
                piece = picture[..., top - above : top + tile + halo, left - before : left + tile + halo]
                place = output[..., top : top + tile, left : left + tile]
                place.copy_(run(piece)[..., above : above + place.shape[2], before : before + place.shape[3]])
        return output

    return denoise


def time_picture(name: str, height: int, width: int, threads: int, seconds: float) -> dict[str, Any]:
    """Return one row: the median milliseconds of one picture of bytes, by candidate."""
    torch.set_num_threads(threads)
    architecture = shipped()[name]
    denoiser = Denoiser(build(architecture, seed=0), architecture.input.shape)
    model = twin_of(architecture).to(memory_format=torch.channels_last).eval()
    runs = {
        OWN: denoiser.predict,
        ONNX: bytes_through(onnx_run(architecture, threads)),
        CHANNELS_LAST: bytes_through(model, torch.channels_last),
    }
    if height * width > LARGEST_WHOLE:
        tile, halo = 1024, denoiser.halo or 0
        runs = {who: run if who == OWN else in_tiles(run, tile, halo) for who, run in runs.items()}
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (1, architecture.input.channels, height, width), generator=generator).byte()
    small = picture[..., : min(height, 512), : min(width, 512)].contiguous()
    answers = {who: run(small).int() for who, run in runs.items()}
    wrong = {who: int((answer - answers[OWN]).abs().max()) for who, answer in answers.items()}
    if max(wrong.values()) > 1:  # bytes may be rounded to either side
        raise AssertionError(f"the candidates do not compute the same picture: {wrong}")
    timings = interleaved({who: partial(run, picture) for who, run in runs.items()}, seconds, least=3)
    own = timings[OWN].median
    return {
        "network": name,
        "picture": f"{width}x{height}",
        "threads": threads,
        "milliseconds": {who: 1e3 * timing.median for who, timing in timings.items()},
        "ratio_to_onnxruntime": timings[ONNX].median / own,
        "ratio_to_channels_last": timings[CHANNELS_LAST].median / own,
        "rounds": timings[OWN].rounds,
    }
