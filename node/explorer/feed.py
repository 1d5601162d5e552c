"""The mirror kept in step with the chain, in a thread, and what open pages are told about it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

import structlog

from ledger.chain import Block
from ledger.errors import FedbountyError
from ledger.mirror import Mirror, Progress, SyncResult
from node.explorer.reading import Reading, reading

log = structlog.get_logger()

LEAST_SECONDS = 0.25


Sync: TypeAlias = Callable[[Progress], SyncResult]


class Feed:
    """Follows the chain until it is stopped. Fields are replaced whole, so other threads may read them at any time.

    version: counts what changed: events that came or went, files that arrived.
    trouble: why the mirror can't follow at present; empty while it can.
    reading: how far it is while it has much to read; None at the chain's head.
    """

    def __init__(self, mirror: Mirror, sync: Sync, poll_seconds: float, confirmations: int = 0) -> None:
        """sync: brings `mirror` to the chain's head, once. confirmations: blocks above the last that is mirrored."""
        self._mirror, self._sync, self.confirmations = mirror, sync, confirmations
        self._seconds = max(poll_seconds, LEAST_SECONDS)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed")
        self.version = secrets.randbelow(2**31)  # so that a page tells another process from this one
        self.head: Block | None = mirror.head()
        self.trouble = ""
        self.reading: Reading | None = None
        self.on_events: Callable[[], None] = lambda: None

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * self._seconds + 2)

    def changed(self) -> None:
        """Tell open pages to look again."""
        with self._lock:
            self.version += 1

    def follow(self) -> None:
        """Bring the mirror to the chain's head, once; what goes wrong is told, not raised."""
        try:
            done = self._sync(self._progress())
            trouble = ""
        except FedbountyError as error:
            trouble = str(error)
            log.debug("not_following", error=trouble)
        else:
            if done.logs or done.removed or done.restarted:
                self.on_events()
                self.changed()
        was_behind = self.head is None or self.reading is not None
        self.head, self.reading = self._mirror.head(), None
        if was_behind and self.head is not None:
            self.changed()
        if trouble != self.trouble:
            self.trouble = trouble
            self.changed()

    def _progress(self) -> Progress:
        """Tells open pages, at most once a second, what one sync has read so far."""
        begun = told = monotonic()
        first: int | None = None

        def advance(block: int, target: int, logs: int) -> None:
            nonlocal begun, told, first
            now = monotonic()
            if first is None:
                first, begun = block, now
            self.reading = reading(first, block, target, now - begun)
            if self.reading is not None and now - told >= 1:
                told, self.head = now, self._mirror.head()
                self.on_events()
                self.changed()

        return advance

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.follow()
            except Exception:
                log.exception("feed_failed")
            self._stop.wait(self._seconds)
