"""Several tiles of a picture at once, each in a thread of its own.

Inside a tile a network is many short operations, and threads that share each of them meet after each. Beside a program
that takes a core, the others then wait for the one that has none, some thousand times a picture. Threads with a tile
each do not wait for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeVar

import torch

MOST = 4
"""So many tiles are worked on at once, because each takes memory."""

Job = TypeVar("Job")


def each(jobs: Sequence[Job], work: Callable[[Job], None], most: int = MOST) -> Iterator[int]:
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
