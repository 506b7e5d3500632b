from array import array

LANE_BYTES: int
"""Bytes of one of the processor's vectors."""

def convolve(
    is_double: bool, x: int, weight: int, bias: int, y: int, inputs: int, sums: int, threads: int, plan: array[int], /
) -> None: ...
