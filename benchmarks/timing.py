"""Timings side by side: every candidate in turn, many times, so that all see the same moments of the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median and the least over all rounds."""

    median: float
    least: float
    rounds: int


def interleaved(
    candidates: dict[str, Callable[[], object]],
    seconds: float,
    clock: Clock = time.perf_counter,
    burst: float = 0.01,
    least: int = 5,
) -> dict[str, Timing]:
    """Return the timings of all candidates.

    Args:
        candidates: what to call, by name; each has been called before, so that nothing is compiled or allocated here.
        seconds: how long to go on, in all.
        clock: of one thread, or of the wall.
        burst: seconds for which a candidate is called again and again before the next has its turn.
        least: how often every candidate is timed at least.
    """
    counts = {}
    for name, call in candidates.items():
        start = time.perf_counter()
        call()
        counts[name] = max(1, round(burst / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < least:
        for name, call in candidates.items():
            if counts[name] > 1:
                call()  # the caches are this candidate's own again
            start = clock()
            for _ in range(counts[name]):
                call()
            times[name].append((clock() - start) / counts[name])
    return {name: Timing(statistics.median(taken), min(taken), len(taken)) for name, taken in times.items()}
