"""Products of windows with a kernel on a GPU, in Triton: a window is read where it lies, and never written down.

With m a place of the target, (i, j) a tap and c a channel of the source, both kernels read the matrix

    X[m, (i, j, c)] = source[picture, (row * times + i * step + start) / divide, (likewise across), c]

where the division leaves no rest and the place lies inside the source, and zero elsewhere. They are imported only where
they are used; :mod:`layerkit.arithmetic.implicit` says what they are for.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _along(place, tap, times, step, start, divide, size):
    """Return where the windows at some places meet one tap, along one axis, and whether that is inside the source."""
    at = place * times + tap * step + start
    return at // divide, (at >= 0) & (at % divide == 0) & (at // divide < size)


@triton.jit
def multiply_windows(
    target,
    source,
    weight,
    bias,
    places,
    rows,
    columns,
    outputs,
    channels,
    chunks,
    taps,
    taps_across,
    source_rows,
    source_columns,
    target_picture,
    target_row,
    target_column,
    target_channel,
    source_picture,
    source_row,
    source_column,
    source_channel,
    weight_down,
    weight_across,
    weight_inner,
    weight_output,
    times_down,
    times_across,
    step_down,
    step_across,
    start_down,
    start_across,
    divide_down,
    divide_across,
    BIASED: tl.constexpr,
    PRECISION: tl.constexpr,
    PLACES: tl.constexpr,
    OUTPUTS: tl.constexpr,
    INNER: tl.constexpr,
):
    """Set the target to X times the weight, plus the bias: PLACES places and OUTPUTS channels in each program."""
    place = tl.program_id(0).to(tl.int64) * PLACES + tl.arange(0, PLACES)
    output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    column, row = place % columns, place // columns % rows
    picture = place // (columns * rows)
    total = tl.full((PLACES, OUTPUTS), 0.0, tl.float32)
    for step in range(taps * chunks):
        tap, channel = step // chunks, step % chunks * INNER + tl.arange(0, INNER)
        i, j = tap // taps_across, tap % taps_across
        line, inside_down = _along(row, i, times_down, step_down, start_down, divide_down, source_rows)
        gap, inside_across = _along(column, j, times_across, step_across, start_across, divide_across, source_columns)
        at = picture * source_picture + line * source_row + gap * source_column
        inside = (place < places) & inside_down & inside_across
        known = channel < channels
        x = tl.load(
            source + at[:, None] + (channel.to(tl.int64) * source_channel)[None, :],
            mask=inside[:, None] & known[None, :],
            other=0.0,
        )
        at = (i * weight_down + j * weight_across + channel * weight_inner)[:, None] + (output * weight_output)[None, :]
        w = tl.load(weight + at, mask=known[:, None] & (output < outputs)[None, :], other=0.0)
        total += tl.dot(x, w, input_precision=PRECISION)
    if BIASED:
        total += tl.load(bias + output, mask=output < outputs, other=0.0)[None, :]
    at = (picture * target_picture + row * target_row + column * target_column)[:, None]
    inside = (place < places)[:, None] & (output < outputs)[None, :]
    tl.store(target + at + (output.to(tl.int64) * target_channel)[None, :], total, mask=inside)


@triton.jit
def correlate_windows(
    target,
    source,
    grad,
    places,
    rows,
    columns,
    outputs,
    channels,
    chunks,
    taps,
    taps_across,
    source_rows,
    source_columns,
    grad_picture,
    grad_row,
    grad_column,
    grad_channel,
    source_picture,
    source_row,
    source_column,
    source_channel,
    times_down,
    times_across,
    step_down,
    step_across,
    start_down,
    start_across,
    blocks,
    PRECISION: tl.constexpr,
    PLACES: tl.constexpr,
    OUTPUTS: tl.constexpr,
    INNER: tl.constexpr,
):
    """Set the target (parts, taps, channels, outputs), for one part of the places, to X^T times the gradient there."""
    tap = tl.program_id(0) // chunks
    channel = tl.program_id(0) % chunks * INNER + tl.arange(0, INNER)
    output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    i, j = tap // taps_across, tap % taps_across
    total = tl.full((INNER, OUTPUTS), 0.0, tl.float32)
    for block in range(blocks):
        place = (tl.program_id(2).to(tl.int64) * blocks + block) * PLACES + tl.arange(0, PLACES)
        column, row = place % columns, place // columns % rows
        picture = place // (columns * rows)
        line, inside_down = _along(row, i, times_down, step_down, start_down, 1, source_rows)
        gap, inside_across = _along(column, j, times_across, step_across, start_across, 1, source_columns)
        at = picture * source_picture + line * source_row + gap * source_column
        inside = (place < places) & inside_down & inside_across
        x = tl.load(
            source + at[None, :] + (channel.to(tl.int64) * source_channel)[:, None],
            mask=(channel < channels)[:, None] & inside[None, :],
            other=0.0,
        )
        at = (picture * grad_picture + row * grad_row + column * grad_column)[:, None]
        g = tl.load(
            grad + at + (output.to(tl.int64) * grad_channel)[None, :],
            mask=(place < places)[:, None] & (output < outputs)[None, :],
            other=0.0,
        )
        total += tl.dot(x, g, input_precision=PRECISION)
    at = ((tl.program_id(2) * taps + tap) * channels + channel).to(tl.int64)[:, None] * outputs + output[None, :]
    tl.store(target + at, total, mask=(channel < channels)[:, None] & (output < outputs)[None, :])
