"""How daemons stop."""

from __future__ import annotations

import os
import pty
import signal

import pytest

from node.cli.running import stop_signals

pytestmark = pytest.mark.unit


def test_stop_signals__when_a_person_presses_ctrl_c__then_says_that_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    before = signal.getsignal(signal.SIGINT)
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with stop_signals() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.is_set()
        said = os.read(ours, 1000)
    os.close(ours)
    assert b"Ctrl-C again stops at once" in said
    assert signal.getsignal(signal.SIGINT) == before
