"""A round's updates, fetched and verified side by side; what fails has a reason instead of an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from ledger.errors import ContentError, ContentMismatch, ContentTooLarge, ContentUnavailable
from ledger.merge_records import Reason
from ledger.records import Revealed, Terms
from node.bounty_files import BountyFiles
from node.verification import Rejection, VerifiedUpdate, check_update

Checked: TypeAlias = VerifiedUpdate | Rejection

FETCHES_AT_ONCE = 8


def check_updates(
    files: BountyFiles,
    terms: Terms,
    reveals: Sequence[Revealed],
    coordinates: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Checked]:
    """Fetch and verify updates, in the order of `reveals`.

    coordinates: of the model, padding not counted.
    progress:    called with how many are done.
    Raises: ContentUnreachable: an endpoint that is down is nobody's fault.
    """

    def check(revealed: Revealed) -> Checked:
        try:
            path = files.update(revealed, terms)
        except ContentError as error:
            return _rejection(error, revealed)
        return check_update(path, revealed, coordinates)

    checked: list[Checked] = []
    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        for one in pool.map(check, reveals):
            checked.append(one)
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
