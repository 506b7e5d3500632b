from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from layerkit.training.interruption import interruptible


@pytest.fixture(params=["SIGINT", "SIGTERM", "SIGHUP"])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Return a signal, which nobody has switched off for this test."""
    if not hasattr(signal, request.param):
        pytest.skip(f"no {request.param} here")
    number = signal.Signals[request.param]
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def test_a_signal_is_remembered_and_what_was_there_before_is_back(number: signal.Signals) -> None:
    with interruptible() as received:
        assert received() is None
        signal.raise_signal(number)
        assert received() == number
        assert signal.getsignal(number) is signal.SIG_DFL  # so that a second one ends the process
    with interruptible() as received:
        assert received() is None
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_process_that_is_to_outlive_its_terminal_does() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible() as received:
            signal.raise_signal(signal.SIGHUP)
            assert received() is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
