"""Running a daemon from the command line: it stops cleanly at Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ledger.errors import BadInput
from ledger.notices import Observer, ignore
from ledger.records import Phase
from node.loop import Daemon, run

STOPPING = b"\nStopping when what is under way is done. Ctrl-C again stops at once; nothing is lost either way.\n"

OVER = (Phase.ENDED, Phase.CANCELLED)


class BountyOver(BadInput):
    def __init__(self, bounty: int, phase: str, remedy: str) -> None:
        self.bounty, self.phase = bounty, phase
        super().__init__(f"Bounty {bounty} is over ({phase}). {remedy}")


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), STOPPING)

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_daemon(daemon: Daemon[Any, Any], poll_seconds: float, tell: Observer = ignore) -> str:
    """Run until the daemon finishes or a signal comes; says why it ended."""
    with stop_signals() as stop:
        return run(daemon, poll_seconds, stop, tell)
