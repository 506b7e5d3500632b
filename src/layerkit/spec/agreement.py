"""Checks, before anything starts, that a network fits its training: what the loss and the data need of it.

The data are pairs of pictures with the shape of the network's input, (C, H, W). The loss compares the network's output
for the first picture of a pair with the second. So the output of the last layer must have the shape of the input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from layerkit.contracts.specs import Shape
from layerkit.data.sources import channels_of
from layerkit.errors import Problem
from layerkit.spec.architecture import Input, Training
from layerkit.spec.tracing import Step
from layerkit.wording import json_path


def disagreements(
    training: Training, given: Input, steps: Sequence[Step], data: str | Path | None = None
) -> tuple[Problem, ...]:
    """Return why a network cannot be trained as its file says, each with its path in the file.

    Args:
        training: the ``training`` block of the file.
        given: the ``input`` block of the file.
        steps: the network's layers with their shapes.
        data: the name or the path of the training data; None where that is not known yet.

    Raises:
        DataError: when there are no such data.
    """
    return (*_output(given.shape, steps), *_targets(training), *_channels(given, data))


def _output(input_shape: tuple[int, int, int], steps: Sequence[Step]) -> Iterator[Problem]:
    last = [step for step in steps if step.depth == 0][-1]
    if last.output_shape != input_shape:
        yield Problem(
            f"the network's output is {_size(last.output_shape)} and its input {_size(input_shape)} "
            "(channels x height x width), and the loss compares the output with pictures of the input's size; "
            f"{_remedy(input_shape, last.output_shape, steps)}",
            last.path,
            last.layer.type,
        )


def _remedy(wanted: tuple[int, int, int], given: Shape, steps: Sequence[Step]) -> str:
    if len(given) != 3:
        return "let the last layer return pictures"
    if given[1:] != wanted[1:]:
        smaller = "add padding for what kernels cut off, and upsampling for strides and pooling"
        return smaller if given[1] <= wanted[1] and given[2] <= wanted[2] else "upsample less, or pad less"
    decides = [step for step in steps if getattr(step.layer, "out_channels", None) == given[0]]
    place = f" in {json_path(decides[-1].path)}" if decides else " in a last convolution"
    return f'write "out_channels": {wanted[0]}{place}, or "channels": {given[0]} in "input"'


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _targets(training: Training) -> Iterator[Problem]:
    noise, loss = training.noise, training.loss
    if noise.masks_targets and not loss.takes_masked:
        masked = json.dumps({"type": "masked", "loss": loss.model_dump(mode="json")})
        yield Problem(
            f'marks some target values as unknown, but the loss "{loss.type}" cannot leave them out; '
            f'take {masked} as "loss"',
            ("training", "noise"),
            noise.type,
        )


def _channels(given: Input, data: str | Path | None) -> Iterator[Problem]:
    known = None if data is None else channels_of(data)
    if known is not None and given.channels - given.noise_level not in known:
        colours, numbers = ("1 channel (gray) or 3 (RGB)", "1 or 3")
        if given.noise_level:
            colours, numbers = f"{colours}, and one more for the noise level", "2 or 4"
        yield Problem(
            f'pictures have {colours}, and the data "{data}" are pictures; write {numbers}, or train on a file of '
            "pairs (.npz)",
            ("input", "channels"),
        )
