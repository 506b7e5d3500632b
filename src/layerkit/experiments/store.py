"""The folder of a sweep, which several processes, on several machines, may share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from layerkit.disk import FolderLock
from layerkit.experiments.results import TrialResult, read_result, write_result

MONTAGE = "montage.png"
"""The name of the picture in a run's folder that shows what it has learned."""


class Store:
    """The places of results, runs and the page.

    - ``results/KEY.json``: the result of a trial, from which everything else is drawn;
    - ``runs/KEY/``: the run of a trial, as ``layerkit train`` writes it, and ``tiles.png``, the pictures of its montage
      side by side, pixel for pixel;
    - ``timed/`` and ``machines/``: locks for timed trials, and for the trials on each machine;
    - ``figures/NAME.svg`` or ``.png``, and ``report.html``.

    Args:
        folder: the folder, which is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.figures = self.folder / "figures"
        self.page = self.folder / "report.html"

    def run(self, key: str) -> Path:
        """Return the folder of a trial's run."""
        return self.folder / "runs" / key

    def pictures(self, key: str) -> Path:
        """Return the folder with the montage of a trial, and its tiles, if there are any."""
        return self.run(key)

    def claimed(self, key: str) -> AbstractContextManager[None]:
        """Return a context in which no other process trains a trial, or leave that to the lock on its run's folder."""
        return nullcontext()

    @contextmanager
    def timing(self, experiment: str) -> Iterator[None]:
        """Keep all other processes from timing the trials of an experiment inside ``with``.

        Raises:
            FolderInUseError: when another process times them.
            RunError: when the system refuses.
        """
        folder = self.folder / "timed" / experiment
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
        try:
            yield
        finally:
            lock.release()

    def result(self, key: str, timed: bool = False) -> TrialResult | None:
        """Return a trial's result, or None; with ``timed`` only a result whose seconds were measured counts."""
        result = read_result(self._path(key), key)
        return None if result is None or (timed and not result.timed) else result

    def settled(self, key: str, timed: bool = False) -> bool:
        """Return whether a trial need not be tried again; ``timed`` is as in :meth:`result`."""
        result = self.result(key, timed)
        return result is not None and result.settled

    def keep(self, result: TrialResult) -> None:
        """Write a trial's result.

        Raises:
            RunError: when it cannot be written.
        """
        write_result(self._path(result.key), result)

    def _path(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"
