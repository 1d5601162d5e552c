"""Manifests and merge reports, fetched in the background: a page never waits for IPFS, and works without it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue
from time import monotonic
from typing import TypeAlias, TypeVar

import structlog

from ledger.cid import Digest, to_cid
from ledger.errors import BadInput, ContentError, FedbountyError
from ledger.multiaddr import check_multiaddr
from ledger.records import BountyId, Merged, Terms
from node.bounty_files import BountyFiles
from node.explorer.reports import Report, read_report
from node.manifest import Manifest

log = structlog.get_logger()

WORKERS = 2
AGAIN_SECONDS = 60.0
"""When to ask again for what could not be had."""
MOST_KEPT = 4096
MOST_WANTED = 512

_T = TypeVar("_T", Manifest, Report)


@dataclass(frozen=True)
class Missing:
    """A file that is not at hand: it is being fetched, or `why` says why it can't be had."""

    cid: str
    why: str = ""


Found: TypeAlias = Manifest | Report | Missing


class Shelf:
    """What was fetched, by digest and reader. Safe to use from several threads."""

    def __init__(self, files: BountyFiles, on_change: Callable[[], None] = lambda: None) -> None:
        self._files = files
        self._on_change = on_change
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Digest], tuple[Found, float]] = OrderedDict()
        self._peers: set[str] = set()
        self._work: Queue[Callable[[], None] | None] = Queue(MOST_WANTED)
        self._workers = [threading.Thread(target=self._run, daemon=True, name=f"shelf-{i}") for i in range(WORKERS)]

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """Let the workers end; one that waits for IPFS ends with the process."""
        while True:
            try:
                self._work.get_nowait()
            except Empty:
                break
        for _ in self._workers:
            self._work.put(None)

    def manifest(self, bounty: BountyId, terms: Terms) -> Manifest | Missing:
        """A bounty's manifest, checked against its terms."""
        return self._at_hand(f"manifest {bounty}", terms.manifest, lambda: self._files.manifest(terms))

    def report(self, bounty: BountyId, merged: Merged) -> Report | Missing:
        """What the merger reported."""
        digest = merged.claim.report_cid
        return self._at_hand(
            f"report {bounty} {merged.round}",
            digest,
            lambda: read_report(self._files.report(merged), bounty, merged.round),
        )

    def meet(self, multiaddr: str) -> None:
        """Connect to a peer that a provider announced, once."""
        with self._lock:
            if multiaddr in self._peers or len(self._peers) >= MOST_KEPT:
                return
            self._peers.add(multiaddr)
        self._want(lambda: self._connect(multiaddr))

    def _connect(self, multiaddr: str) -> None:
        try:
            self._files.store.connect_peer(check_multiaddr(multiaddr))
        except (ContentError, BadInput) as error:
            log.debug("peer_away", error=str(error))

    def _at_hand(self, reader: str, digest: Digest, fetch: Callable[[], _T]) -> _T | Missing:
        key = (reader, digest)
        with self._lock:
            found, since = self._kept.get(key, (None, 0.0))
            retry = isinstance(found, Missing) and monotonic() - since > AGAIN_SECONDS
            if found is None or retry:
                self._kept[key] = (found or Missing(to_cid(digest)), monotonic())
                self._trim()
        if found is None or retry:
            self._want(lambda: self._fetch(key, fetch))
        return found if found is not None else Missing(to_cid(digest))  # type: ignore[return-value]

    def _fetch(self, key: tuple[str, Digest], fetch: Callable[[], _T]) -> None:
        found: Found
        try:
            found = fetch()
        except FedbountyError as error:
            found = Missing(to_cid(key[1]), str(error))
        with self._lock:
            before = self._kept.get(key, (None, 0.0))[0]
            self._kept[key] = (found, monotonic())
            self._trim()
        if found != before:
            self._on_change()

    def _trim(self) -> None:
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def _want(self, work: Callable[[], None]) -> None:
        if not self._work.full():  # else the next page asks again
            self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("shelf_failed")
