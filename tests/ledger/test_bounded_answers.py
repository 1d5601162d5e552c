"""Endpoints that send for ever, a little at a time, or more than it seems: nothing is held, and nobody waits."""

from __future__ import annotations

import gzip
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

import pytest
import requests

from ledger.bounded_answers import AnswerTooLong, BoundedAdapter
from ledger.chain import connect
from ledger.content import ContentStore
from ledger.errors import ChainUnreachable, ContentTooLarge, ContentUnavailable, ContentUnreachable
from ledger.unixfs import digest_of
from tests.ledger.endpoint import serving

pytestmark = pytest.mark.integration

PART = b" " * (1 << 20)
STAT = json.dumps({"Type": "file", "Size": 4}).encode()


class Sender:
    """A real HTTP server that sends what a test wants, chunked or until it closes, until nobody listens."""

    def __init__(self) -> None:
        self.parts: Callable[[str], Iterator[bytes]] = lambda path: iter(())
        self.headers: dict[str, str] = {}
        self.chunked, self.hung_up = False, threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                for name, value in owner.headers.items():
                    self.send_header(name, value)
                self.send_header("Connection", "close")
                if owner.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for part in owner.parts(self.path.partition("?")[0]):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if owner.chunked else part)
                    self.wfile.write(b"0\r\n\r\n" if owner.chunked else b"")
                except ConnectionError:
                    owner.hung_up.set()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(params=[False, True], ids=["closed", "chunked"])
def sender(request: pytest.FixtureRequest) -> Iterator[Sender]:
    made = Sender()
    made.chunked = request.param
    with serving(made.server):
        yield made


def slowly() -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield b" "


def session(most: int) -> requests.Session:
    made = requests.Session()
    made.mount("http://", BoundedAdapter(most, streamed=("/files",)))
    return made


def test_send__when_an_answer_is_within_its_bounds__then_as_it_is(sender: Sender) -> None:
    sender.parts = lambda path: iter([b"a" * 70_000, b"b" * 30_000])
    with session(100_000) as client:
        assert client.post(sender.url, timeout=5).content == b"a" * 70_000 + b"b" * 30_000
        sender.parts = lambda path: iter([gzip.compress(b"c" * 100_000)])
        sender.headers = {"Content-Encoding": "gzip"}
        assert client.post(sender.url, timeout=5).content == b"c" * 100_000


@pytest.mark.parametrize("is_bomb", [False, True])
def test_send__when_an_answer_is_endless_or_a_bomb__then_cut_off_without_holding_it(
    sender: Sender, is_bomb: bool
) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    sender.headers = {"Content-Encoding": "gzip"} if is_bomb else {}
    sender.parts = lambda path: repeat(bomb if is_bomb else PART)
    tracemalloc.start()
    with session(3 << 20) as client, pytest.raises(AnswerTooLong):
        client.post(sender.url, timeout=5)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sender.hung_up.wait(5)
    assert held < 20 << 20


def test_fetch__when_the_endpoint_sends_for_ever__then_too_large_and_hung_up(sender: Sender) -> None:
    sender.parts = lambda path: iter([STAT]) if path.endswith("/stat") else repeat(PART)
    with pytest.raises(ContentTooLarge):
        ContentStore(sender.url).fetch(digest_of(b"good"), 4, 20)
    assert sender.hung_up.wait(5)


def test_fetch__when_the_endpoint_drips__then_unavailable_in_time(sender: Sender) -> None:
    sender.parts = lambda path: iter([STAT]) if path.endswith("/stat") else slowly()
    started = time.monotonic()
    with pytest.raises(ContentUnavailable):
        ContentStore(sender.url).fetch(digest_of(b"good"), 1 << 20, 0.5)
    assert time.monotonic() - started < 10, "it would have taken fourteen hours"


def test_calls__when_the_endpoint_drips__then_it_is_unreachable_in_time(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.content.CALL_SECONDS", 0.3)
    sender.parts = lambda path: slowly()
    with pytest.raises(ContentUnreachable):
        ContentStore(sender.url).version()
    with pytest.raises(ChainUnreachable):
        connect(sender.url, timeout_s=0.3)
