"""The loops over numbers of the sums on a GPU, in Triton. It is imported only where they are used.

What they compute is described in :mod:`layerkit.arithmetic.backends.directions`.
"""

from __future__ import annotations

import triton
import triton.language as tl

MOST_SLOTS = 8
"""The most slots across that one program sums up: the number of its sums."""


@triton.jit
def sum_shifted(
    target,
    source,
    bias,
    numbers,
    factors,
    positions,
    rows,
    columns,
    channels,
    target_picture,
    target_row,
    target_row_slot,
    target_column,
    target_column_slot,
    target_channel,
    source_picture,
    source_row,
    source_column,
    source_channel,
    groups,
    row_slots,
    column_slots,
    TERMS: tl.constexpr,
    PAIRS: tl.constexpr,
    SLOTS: tl.constexpr,
    BIASED: tl.constexpr,
    DOUBLE: tl.constexpr,
    PLACES: tl.constexpr,
    LANES: tl.constexpr,
):
    """Set the target, at some places and channels, for one slot down and up to eight slots across.

    A program computes, for each pair of a slot and a shift of the source across, the sum down once, and adds it to the
    sums of all its slots. The inner loop is unrolled, so that its loads do not wait for one another.

    Numbers: for each slot down of the target its number of places, and TERMS times (offset in memory, shift, places) of
    the source; then for each slot across the number of places; then PAIRS times (offset, shift, places) of the source.
    Factors: for each slot down TERMS of them; then for each pair one for each slot across. A term that is only there to
    fill up has no places.
    """
    # Programs for the same places follow one another, so that they find the source in the cache.
    group = tl.program_id(0) % groups
    down = (tl.program_id(0) // groups) % row_slots
    block = (tl.program_id(0) // (groups * row_slots)).to(tl.int64)
    place = block * PLACES + tl.arange(0, PLACES)
    lane = tl.program_id(1) * LANES + tl.arange(0, LANES)
    column, row, picture = place % columns, (place // columns) % rows, place // (columns * rows)
    inside = (place < positions)[:, None] & (lane < channels)[None, :]
    kind = tl.float64 if DOUBLE else tl.float32

    own = numbers + down * (1 + 3 * TERMS)
    across = numbers + row_slots * (1 + 3 * TERMS) + group * SLOTS
    pairs = numbers + row_slots * (1 + 3 * TERMS) + column_slots
    own_factors = factors + down * TERMS
    pair_factors = factors + row_slots * TERMS + group * SLOTS

    from_source = source + (picture * source_picture)[:, None] + (lane.to(tl.int64) * source_channel)[None, :]
    sum0 = tl.full((PLACES, LANES), 0.0, kind)
    sum1 = sum0
    sum2 = sum0
    sum3 = sum0
    sum4 = sum0
    sum5 = sum0
    sum6 = sum0
    sum7 = sum0
    for pair in range(PAIRS):
        there = column + tl.load(pairs + 3 * pair + 1)
        seen = inside & ((there >= 0) & (there < tl.load(pairs + 3 * pair + 2)))[:, None]
        from_column = from_source + (there * source_column + tl.load(pairs + 3 * pair))[:, None]
        halfway = tl.full((PLACES, LANES), 0.0, kind)
        for term in tl.static_range(TERMS):
            line = row + tl.load(own + 3 * term + 2)
            known = seen & ((line >= 0) & (line < tl.load(own + 3 * term + 3)))[:, None]
            offset = (line * source_row + tl.load(own + 3 * term + 1))[:, None]
            value = tl.load(from_column + offset, mask=known, other=0.0).to(kind)
            halfway += tl.where(known, tl.load(own_factors + term) * value, 0.0)
        # A factor of 0 stands for no term: not even infinity passes it.
        factor = pair_factors + pair * column_slots
        sum0 += _times(tl.load(factor), halfway)
        if SLOTS > 1:
            sum1 += _times(tl.load(factor + 1), halfway)
        if SLOTS > 2:
            sum2 += _times(tl.load(factor + 2), halfway)
        if SLOTS > 3:
            sum3 += _times(tl.load(factor + 3), halfway)
        if SLOTS > 4:
            sum4 += _times(tl.load(factor + 4), halfway)
        if SLOTS > 5:
            sum5 += _times(tl.load(factor + 5), halfway)
        if SLOTS > 6:
            sum6 += _times(tl.load(factor + 6), halfway)
        if SLOTS > 7:
            sum7 += _times(tl.load(factor + 7), halfway)

    if BIASED:
        added = tl.load(bias + lane, mask=lane < channels, other=0.0).to(kind)[None, :]
        sum0 += added
        sum1 += added
        sum2 += added
        sum3 += added
        sum4 += added
        sum5 += added
        sum6 += added
        sum7 += added
    to_place = picture * target_picture + row * target_row + column * target_column
    to_target = target + (to_place + down * target_row_slot + group * SLOTS * target_column_slot)[:, None]
    to_target += (lane.to(tl.int64) * target_channel)[None, :]
    inside = inside & (row < tl.load(own))[:, None]
    _put(to_target, sum0, inside, column, across)
    if SLOTS > 1:
        _put(to_target + target_column_slot, sum1, inside, column, across + 1)
    if SLOTS > 2:
        _put(to_target + 2 * target_column_slot, sum2, inside, column, across + 2)
    if SLOTS > 3:
        _put(to_target + 3 * target_column_slot, sum3, inside, column, across + 3)
    if SLOTS > 4:
        _put(to_target + 4 * target_column_slot, sum4, inside, column, across + 4)
    if SLOTS > 5:
        _put(to_target + 5 * target_column_slot, sum5, inside, column, across + 5)
    if SLOTS > 6:
        _put(to_target + 6 * target_column_slot, sum6, inside, column, across + 6)
    if SLOTS > 7:
        _put(to_target + 7 * target_column_slot, sum7, inside, column, across + 7)


@triton.jit
def _times(factor, halfway):
    return tl.where(factor != 0, factor * halfway, 0.0)


@triton.jit
def _put(to, value, inside, column, places):
    tl.store(to, value.to(to.dtype.element_ty), mask=inside & (column < tl.load(places))[:, None])
