"""Trials beside one another, and alone."""

from __future__ import annotations

import threading
from queue import SimpleQueue

import pytest

from layerkit.errors import StoppedError
from layerkit.experiments.machine_lock import machine_lock


def at_once(folder, exclusive):
    """Lock the machine, or raise StoppedError when it would have to wait."""
    return machine_lock(folder, exclusive, asked_to_stop=lambda: 15, waits=lambda: None)


def test_trials_run_beside_one_another(tmp_path):
    with at_once(tmp_path, exclusive=False), at_once(tmp_path, exclusive=False):
        pass


@pytest.mark.parametrize("first", [True, False])
def test_nothing_runs_beside_a_trial_that_must_be_alone(tmp_path, first):
    with (
        at_once(tmp_path, exclusive=first),
        pytest.raises(StoppedError, match="stopped while waiting for other trials on this machine"),
        at_once(tmp_path, exclusive=not first),
    ):
        pass
    with at_once(tmp_path, exclusive=True):  # the one that was stopped keeps nothing
        pass


def test_no_trial_slips_in_before_one_that_waits_to_be_alone(tmp_path):
    happened: SimpleQueue[str] = SimpleQueue()

    def alone():
        try:
            with machine_lock(tmp_path, True, lambda: happened.put("asks"), lambda: happened.put("waits")):
                happened.put("begins")
        finally:
            happened.put("ends")

    with at_once(tmp_path, exclusive=False):
        thread = threading.Thread(target=alone)
        thread.start()
        for event in ("asks", "waits"):
            assert happened.get() == event
        with pytest.raises(StoppedError), at_once(tmp_path, exclusive=False):
            pass
        happened.put("the other ends")
    thread.join()
    rest = [happened.get() for _ in range(happened.qsize())]
    assert [event for event in rest if event != "asks"] == ["the other ends", "begins", "ends"]
