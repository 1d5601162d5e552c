"""The mirror kept in step with the chain, in a thread, and what open pages are told about it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

import structlog

from ledger.chain import Block
from ledger.errors import FedbountyError
from ledger.mirror import Mirror, SyncResult

log = structlog.get_logger()

LEAST_SECONDS = 0.25


class Feed:
    """Follows the chain until it is stopped. Fields are replaced whole, so other threads may read them at any time.

    version: counts what changed: events that came or went, files that arrived.
    trouble: why the mirror can't follow at present; empty while it can.
    """

    def __init__(self, mirror: Mirror, sync: Callable[[], SyncResult], poll_seconds: float) -> None:
        """sync: brings `mirror` to the chain's head, once."""
        self._mirror, self._sync = mirror, sync
        self._seconds = max(poll_seconds, LEAST_SECONDS)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="feed")
        self.version = secrets.randbelow(2**31)  # so that a page tells another process from this one
        self.head: Block | None = mirror.head()
        self.trouble = ""
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
            done = self._sync()
            trouble = ""
        except FedbountyError as error:
            trouble = str(error)
            log.debug("not_following", error=trouble)
        else:
            if done.logs or done.removed or done.restarted:
                self.on_events()
                self.changed()
        self.head = self._mirror.head()
        if trouble != self.trouble:
            self.trouble = trouble
            self.changed()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.follow()
            except Exception:
                log.exception("feed_failed")
            self._stop.wait(self._seconds)
