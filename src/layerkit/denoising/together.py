"""Processes several tiles of a picture at once, each in a separate thread.

For one tile a network runs many short operations. Threads that share the operations have to wait for each other after
each of them; if another program uses a core, this happens thousands of times for a picture. Threads that process whole
tiles need not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeVar

import torch

from layerkit.arithmetic.division import TILES

Job = TypeVar("Job")


def each(jobs: Sequence[Job], work: Callable[[Job], None], most: int = TILES) -> Iterator[int]:
    """Do all jobs, as many at once as torch has threads, and yield how many are done after each.

    Where a job fails, those that have not begun are left, and its error is raised.

    Args:
        jobs: that may be done in any order.
        work: does one; is called in several threads at once, in each of which torch takes its share of the threads.
        most: jobs at once.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(jobs), most)
    if workers < 2:
        for done, job in enumerate(jobs, start=1):
            work(job)
            yield done
        return
    share = partial(torch.set_num_threads, threads // workers)
    pool = ThreadPoolExecutor(workers, "layerkit tiles", share)
    waiting, done = iter(jobs), 0
    # One more for each worker, which need not wait until this thread has its turn.
    running = {pool.submit(work, job) for job in islice(waiting, 2 * workers)}
    try:
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                running |= {pool.submit(work, job) for job in islice(waiting, 1)}
                done += 1
                yield done
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what was set in a thread is also the number of threads that begin later
