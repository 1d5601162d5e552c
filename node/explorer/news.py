"""What open pages are told while they are open, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from node.explorer.feed import Feed

LOOK_SECONDS = 0.25
"""How often an open connection looks for news."""
PING_SECONDS = 15
MOST_LISTENERS = 64


class News:
    """The stream `/events?since=VERSION`: VERSION is that of the page that listens.

    Event `change`: there is more than the page shows, look again; `head`: the chain's newest mirrored block.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._listeners = 0

    async def answer(self, request: Request) -> Response:
        if self._listeners >= MOST_LISTENERS:
            return PlainTextResponse("Too many pages are open.\n", 503)
        return EventSourceResponse(self._stream(request), ping=PING_SECONDS)

    async def _stream(self, request: Request) -> AsyncIterator[ServerSentEvent]:
        feed, head = self._feed, None
        version = request.query_params.get("since", "")
        self._listeners += 1
        try:
            while not feed.stopped and not await request.is_disconnected():
                if str(feed.version) != version:
                    version = str(feed.version)
                    yield ServerSentEvent(event="change", data=version)
                if feed.head is not None and feed.head != head:
                    head = feed.head
                    data = {"number": head.number, "timestamp": head.timestamp}
                    yield ServerSentEvent(event="head", data=orjson.dumps(data).decode())
                await anyio.sleep(LOOK_SECONDS)
        finally:
            self._listeners -= 1
