"""A round's updates, fetched and verified side by side; what fails has a reason instead of an update.

Files are fetched on threads. Their trees are hashed in processes where there is enough to hash: hashing leaves in
Python holds the interpreter, so threads would take turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from ledger.errors import ContentError, ContentMismatch, ContentTooLarge, ContentUnavailable
from ledger.merge_records import Reason
from ledger.records import PrivacyMode, Revealed, Terms
from node.bounty_files import Artefacts
from node.masked_updates import VerifiedMasked, mapped_masked, masked_fault
from node.verification import Rejection, VerifiedUpdate, mapped_update, update_fault

Checked: TypeAlias = VerifiedUpdate | VerifiedMasked | Rejection

FETCHES_AT_ONCE = 8
UPDATES_AT_ONCE = 32
"""Updates under way at the same time. Most of what takes long is waiting for files that nobody has: one by one, those
who withhold theirs would use up a merge's time."""
UPDATES_AHEAD = 40
"""Updates of later rounds, in whole rounds, that are verified while one is looked at: each keeps a file open."""


class UpdateChecks:
    """Fetches and verifies updates of one bounty, several at once.

    coordinates: of the model, padding not counted.
    workers:     processes that hash; None to hash on the fetching threads.
    """

    def __init__(
        self, files: Artefacts, terms: Terms, coordinates: int, threads: Executor, workers: Executor | None = None
    ) -> None:
        self._files, self._terms, self._coordinates = files, terms, coordinates
        self._threads, self._workers = threads, workers

    def start(self, reveals: Sequence[Revealed], told: Callable[[], None] = lambda: None) -> list[Future[Checked]]:
        """Begin with these updates; the answers come in their order.

        told:   called after each, from any thread.
        Raises: (from the futures) ContentUnreachable: an endpoint that is down is nobody's fault.
        """
        futures = [self._threads.submit(self._check, revealed) for revealed in reveals]
        for future in futures:
            future.add_done_callback(lambda _: told())
        return futures

    def _check(self, revealed: Revealed) -> Checked:
        try:
            path = self._files.update(revealed, self._terms)
        except ContentError as error:
            return _rejection(error, revealed)
        if self._terms.privacy == PrivacyMode.MASKED:
            chunks = self._terms.chunks
            return self._fault(masked_fault, path, revealed, chunks) or mapped_masked(path, revealed, chunks)
        return self._fault(update_fault, path, revealed, self._coordinates) or mapped_update(path, revealed)

    def _fault(
        self, find: Callable[[Path, Revealed, int], Rejection | None], path: Path, revealed: Revealed, size: int
    ) -> Rejection | None:
        """What is wrong with a file, found in a process of its own where there are any."""
        if self._workers is None:
            return find(path, revealed, size)
        try:
            return self._workers.submit(find, path, revealed, size).result()
        except BrokenProcessPool:  # killed by the system: the answer is late, not lost
            return find(path, revealed, size)

    def in_order(
        self, rounds: Iterable[Sequence[Revealed]], told: Callable[[], None] = lambda: None
    ) -> Iterator[list[Checked]]:
        """The updates of one round after the other, while those of the next are being verified."""
        started: deque[list[Future[Checked]]] = deque()
        for reveals in rounds:
            started.append(self.start(reveals, told))
            while sum(map(len, started)) - len(started[0]) >= UPDATES_AHEAD:
                yield [future.result() for future in started.popleft()]
        for futures in started:
            yield [future.result() for future in futures]


@contextmanager
def open_checks(
    files: Artefacts, terms: Terms, coordinates: int, workers: Executor | None = None
) -> Iterator[UpdateChecks]:
    """Checks with threads of their own; what was not begun is dropped at the end."""
    threads = ThreadPoolExecutor(UPDATES_AT_ONCE)
    try:
        yield UpdateChecks(files, terms, coordinates, threads, workers)
    finally:
        threads.shutdown(cancel_futures=True)


def check_updates(
    files: Artefacts,
    terms: Terms,
    reveals: Sequence[Revealed],
    coordinates: int,
    progress: Callable[[int], None] = lambda done: None,
    workers: Executor | None = None,
) -> list[Checked]:
    """Fetch and verify updates, in the order of `reveals`.

    coordinates: of the model, padding not counted.
    progress:    called with how many are done.
    Raises: ContentUnreachable: an endpoint that is down is nobody's fault.
    """
    checked: list[Checked] = []
    with open_checks(files, terms, coordinates, workers) as checks:
        for future in checks.start(reveals):
            checked.append(future.result())
            progress(len(checked))
    return checked


def _rejection(error: ContentError, revealed: Revealed) -> Rejection:
    """What a failed fetch says about an update; an endpoint's own failure is raised again."""
    match error:
        case ContentUnavailable():
            return Rejection(revealed, Reason.UNAVAILABLE, str(error))
        case ContentTooLarge():
            return Rejection(revealed, Reason.WRONG_LENGTH, str(error))
        case ContentMismatch():
            return Rejection(revealed, Reason.MALFORMED, str(error))
    raise error
