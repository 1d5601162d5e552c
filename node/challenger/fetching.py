"""Fetching what somebody published: it is there, or it is not; an endpoint that is down is neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ledger.errors import ContentError, ContentUnreachable, ProtocolFault

T = TypeVar("T")


def or_none(fetch: Callable[[], T]) -> T | None:
    """What was published, or None where it can't be had or is not what was committed.

    Raises: ContentUnreachable.
    """
    try:
        return fetch()
    except ContentUnreachable:
        raise
    except (ContentError, ProtocolFault):
        return None
