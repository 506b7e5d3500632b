from array import array

LANE_BYTES: tuple[int, ...]
"""The bytes that the processor's vectors may have, the fewest first."""

def convolve(
    is_double: bool,
    lane_bytes: int,
    x: int,
    weight: int,
    bias: int,
    y: int,
    inputs: int,
    sums: int,
    threads: int,
    plan: array[int],
    /,
) -> None: ...
