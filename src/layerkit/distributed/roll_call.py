"""Finds out why processes have failed: the first reason that one gives, or which process no longer answers.

When a process ends, its connections break, and the others notice that something is wrong, but not what. So a failing
process writes its reason to the store that torchrun keeps for its processes, before the connections break. A process
that was killed writes nothing. Then the others are called, and each answers from a separate thread, even while it
waits; a process that does not answer is lost.
"""

from __future__ import annotations

import json
from threading import Event, Thread

from layerkit.distributed.board import Store

LOOK_EVERY = 0.25
"""Seconds between two looks at whether the roll is called."""
PATIENCE = 5.0
"""Seconds in which a process has to answer."""

_CALLED, _REASON = "layerkit/called", "layerkit/reason"

Told = tuple[str, int]
"""A sentence with a rank and a reason, and the exit code that goes with it."""


class RollCall:
    """The roll of some processes, in their common store.

    Args:
        store: that all of them see.
        rank: of this process.
        size: how many there are.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self._store, self._rank, self._size = store, rank, size
        self._closed = Event()
        self._answering = Thread(target=self._answer, name="layerkit roll call", daemon=True)
        self._answering.start()

    def close(self) -> None:
        """Stop answering."""
        self._closed.set()
        self._answering.join()

    def end(self, sentence: str, exit_code: int) -> Told:
        """Give the reason for the end, and return the one that counts: the first that was given."""
        try:
            kept = self._store.compare_set(_REASON, "", json.dumps([sentence, exit_code]))
        except RuntimeError:  # the store is gone, with the machine that keeps it
            return sentence, exit_code
        return _told(kept)

    def lost(self, symptom: str) -> Told:
        """Find out why the work has ended, and return it.

        Args:
            symptom: what the connection said when it broke.
        """
        told = self.why(symptom)
        return told or self.end(f"process {self._rank} of {self._size} has lost its connection: {symptom}", 1)

    def reason(self) -> Told | None:
        """Return the reason for the end that a process has given; None without one."""
        return _told(self._store.get(_REASON)) if self._store.check([_REASON]) else None

    def why(self, symptom: str) -> Told | None:
        """Return the reason for the end that a process has given, or which one does not answer; None if all do.

        Args:
            symptom: from which an end was noticed.
        """
        try:
            missing = self._missing()
            if told := self.reason():
                return told
        except RuntimeError:
            return f"process {self._rank} of {self._size} has lost the others, and torchrun with them: {symptom}", 1
        if not missing:
            return None
        who = ", ".join(map(str, missing))
        do = "does not answer; it was" if len(missing) == 1 else "do not answer; they were"
        why = f"killed, or ran out of memory, or the network is gone ({symptom})"
        word = "process" if len(missing) == 1 else "processes"
        return self.end(f"{word} {who} of {self._size} {do} {why}", 1)

    def _missing(self) -> list[int]:
        """Call the roll, and return the ranks that do not answer; none where a reason is given first."""
        self._store.set(_CALLED, "")
        missing = list(range(self._size))
        for _ in range(round(PATIENCE / LOOK_EVERY)):
            missing = [rank for rank in missing if not self._store.check([_here(rank)])]
            if not missing or self._store.check([_REASON]):
                return []
            self._closed.wait(LOOK_EVERY)
        return missing

    def _answer(self) -> None:
        """Wait for the call, and answer it."""
        try:
            while not self._closed.wait(LOOK_EVERY):
                if self._store.check([_CALLED]):
                    self._store.set(_here(self._rank), "")
                    return
        except RuntimeError:
            return  # without a store nobody calls


def _here(rank: int) -> str:
    return f"layerkit/here/{rank}"


def _told(text: bytes) -> Told:
    sentence, exit_code = json.loads(text)
    return str(sentence), int(exit_code)
