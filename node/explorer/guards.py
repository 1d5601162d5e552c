"""What stands before every page: who may ask, what may be asked, and what a browser may do with the answer.

The server is for the person at this machine. A page of the internet that this browser also shows must not read it by a
name that resolves to the loopback address, hence the check of `Host`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_PATH = 256
MOST_QUERY = 1024
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

_PORT = re.compile(r":[0-9]{1,5}")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guards:
    """ASGI middleware: refuses foreign hosts, other methods than GET and HEAD, and long requests; adds the headers."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = LOOPBACK_NAMES) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope)
        return await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if not self._knows(Headers(scope=scope).get("host", "")):
            names = ", ".join(sorted(self._hosts))
            return PlainTextResponse(f"The explorer answers only to these host names: {names}.\n", 400)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("The explorer is read-only.\n", 405, {"allow": "GET, HEAD"})
        if len(scope["path"]) > MOST_PATH or len(scope["query_string"]) > MOST_QUERY:
            return PlainTextResponse("The address of the page is too long.\n", 400)
        return None

    def _knows(self, host: str) -> bool:
        host = host.lower()
        return any(host == name or _PORT.fullmatch(host.removeprefix(name)) for name in self._hosts)
