"""The loop that every daemon runs: observe, decide, act, again.

`observe` builds a frozen view at one block, `decide` is pure, `act` performs one idempotent effect. A crash at any
line is repaired by running again. This is the one place, besides the command line, where errors are caught.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from ledger.errors import FedbountyError, Reverted
from ledger.notices import Observer, ignore
from node.notices import Acted, Looked, Stumbled

log = structlog.get_logger()

_LONGEST_WAIT_SECONDS = 60.0
_MOST_REFUSALS = 5


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do; the daemon ends."""

    why: str


View = TypeVar("View")
Action = TypeVar("Action")


class Daemon(Protocol[View, Action]):
    """A role's program."""

    def observe(self) -> View:
        """Look at the chain and the journal; build a frozen view at one block."""

    def decide(self, view: View) -> Sequence[Action | Finish]:
        """What to do now, in order. Pure. Empty: wait and look again."""

    def act(self, action: Action) -> None:
        """Perform one effect. Doing it twice does no harm."""


def run(daemon: Daemon[View, Action], poll_seconds: float, stop: threading.Event, tell: Observer = ignore) -> str:
    """Run `daemon` until it finishes or `stop` is set; says why it ended. `tell` hears how each turn went.

    Errors that trying again can help are logged and retried with growing waits, for ever. A refusal by the contract
    means that the world moved on since the view: look again, up to `_MOST_REFUSALS` times in a row.
    Raises: any other FedbountyError.
    """
    failures = refusals = 0
    while not stop.is_set():
        try:
            finished = _step(daemon, stop, tell)
            if finished is not None:
                return finished
            failures = refusals = 0
            wait = poll_seconds
        except Reverted as error:
            refusals += 1
            log.warning("refused", error=str(error), attempt=refusals)
            tell(Stumbled(type(error).__name__, poll_seconds))
            if refusals >= _MOST_REFUSALS:
                raise
            wait = poll_seconds
        except FedbountyError as error:
            if not error.retryable:
                raise
            failures += 1
            wait = min(poll_seconds * 2**failures, _LONGEST_WAIT_SECONDS)
            log.warning("retrying", error=str(error), wait_seconds=round(wait, 1))
            tell(Stumbled(type(error).__name__, wait))
        stop.wait(wait)
    return "stopped"


def _step(daemon: Daemon[View, Action], stop: threading.Event, tell: Observer) -> str | None:
    started = time.monotonic()
    actions = daemon.decide(daemon.observe())
    tell(Looked(time.monotonic() - started, time.time()))
    for action in actions:
        if stop.is_set():
            return None
        if isinstance(action, Finish):
            return action.why
        started = time.monotonic()
        daemon.act(action)
        seconds = time.monotonic() - started
        log.debug("done", action=type(action).__name__, seconds=round(seconds, 3))
        tell(Acted(type(action).__name__, seconds))
    return None
