"""The endpoint that Prometheus scrapes: on loopback, for callers that mean it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from ledger.errors import BadInput

HOST = "127.0.0.1"

_NAMES = ("127.0.0.1", "localhost")
"""What the Host header may say: a page in a browser that makes its own name point here is refused."""


class MetricsPortTaken(BadInput):
    def __init__(self, port: int, detail: str) -> None:
        self.port, self.detail = port, detail
        super().__init__(
            f"Metrics can't be served at {HOST}:{port} ({detail}). "
            f"Choose another --metrics-port, or 0 for any free one."
        )


@contextmanager
def serve_metrics(registry: CollectorRegistry, port: int) -> Iterator[str]:
    """Serve a registry while the context is open; gives the URL. Port 0 takes a free one.

    Raises: MetricsPortTaken.
    """
    try:
        server = make_server(HOST, port, _guarded(make_wsgi_app(registry)), _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise MetricsPortTaken(port, getattr(error, "strerror", None) or str(error)) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: a scrape is no event."""

    def address_string(self) -> str:
        return str(self.client_address[0])


def _guarded(app: Callable[..., Iterable[bytes]]) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """The application for known hosts and reading methods only."""

    def guard(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if str(environment.get("HTTP_HOST", "")).partition(":")[0] not in _NAMES:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Ask for 127.0.0.1 or localhost, with the port.\n"]
        return app(environment, start)

    return guard
