"""The content store against the embedded node, and against an endpoint that lies."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ledger.cid import Digest, to_cid
from ledger.content import ContentStore
from ledger.errors import (
    BadInput,
    ContentError,
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    ContentUnreachable,
)
from ledger.kubo import IpfsDaemon
from ledger.unixfs import digest_of
from tests.ledger.endpoint import serving

PEER = "QmbNqADcnajwmujvB3eA9RYf77bcUTgCq3r8cV9GjECH8o"

Answer = Callable[[str], tuple[int, list[bytes]]]
"""From an RPC path to a status and the parts of a body."""


@pytest.fixture
def store(ipfs: IpfsDaemon) -> ContentStore:
    return ContentStore(ipfs.api)


class LyingEndpoint:
    """A real HTTP server that answers RPC calls as a test wants."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _path: (500, [])
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                path = self.path.removeprefix("/api/v0/").partition("?")[0]
                owner.asked.append(path)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, parts = owner.answer(path)
                self.send_response(status)
                self.end_headers()
                try:
                    for part in parts:
                        self.wfile.write(part)
                except ConnectionError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.api = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, size: int, parts: list[bytes]) -> None:
        """Claim a size, serve a body."""
        stat = json.dumps({"Type": "file", "Size": size}).encode()
        self.answer = lambda path: (200, [stat] if path == "files/stat" else parts)


@pytest.fixture
def liar() -> Iterator[LyingEndpoint]:
    endpoint = LyingEndpoint()
    with serving(endpoint.server):
        yield endpoint


@pytest.mark.integration
@pytest.mark.parametrize("size", [0, 1, 262_145, 3_000_000])
def test_fetch__when_added_before__then_returns_the_bytes(store: ContentStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    digest = store.add(data)
    assert digest == digest_of(data)
    assert store.size(digest, 5) == size
    assert store.fetch(digest, size, 5) == data
    store.fetch_to(digest, tmp_path / "deep" / "file", size, 5)
    assert (tmp_path / "deep" / "file").read_bytes() == data
    assert store.add(tmp_path / "deep" / "file") == digest


@pytest.mark.integration
def test_fetch__when_one_byte_over_the_limit__then_too_large_and_no_file(store: ContentStore, tmp_path: Path) -> None:
    digest = store.add(os.urandom(1000))
    with pytest.raises(ContentTooLarge, match="larger than the 999 bytes"):
        store.fetch(digest, 999, 5)
    with pytest.raises(ContentTooLarge):
        store.fetch_to(digest, tmp_path / "file", 999, 5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_fetch__when_nobody_has_it__then_unavailable_in_time(store: ContentStore) -> None:
    started = time.monotonic()
    with pytest.raises(ContentUnavailable) as caught:
        store.fetch(Digest(os.urandom(32)), 10, 0.3)
    assert caught.value.retryable
    assert time.monotonic() - started < 1.2


@pytest.mark.integration
def test_pin__when_pinned_and_unpinned_twice__then_the_list_follows(store: ContentStore) -> None:
    digest = store.add(os.urandom(100))
    assert digest in store.pinned()
    store.unpin(digest)
    store.unpin(digest)
    assert digest not in store.pinned()
    store.pin(digest)
    assert digest in store.pinned()
    with pytest.raises(ContentUnavailable):
        store.pin(Digest(os.urandom(32)), 0.2)


@pytest.mark.integration
def test_fetch__when_cached__then_served_and_verified_without_the_endpoint(
    ipfs: IpfsDaemon, tmp_path: Path, liar: LyingEndpoint
) -> None:
    data = os.urandom(300_000)
    digest = ContentStore(ipfs.api, cache=tmp_path).add(data)
    ContentStore(ipfs.api, cache=tmp_path).fetch(digest, len(data), 5)
    alone = ContentStore(liar.api, cache=tmp_path)
    assert alone.fetch(digest, len(data), 5) == data
    alone.fetch_to(digest, tmp_path / "copy", len(data), 5)
    assert (tmp_path / "copy").read_bytes() == data
    with pytest.raises(ContentTooLarge):
        alone.fetch(digest, len(data) - 1, 5)
    assert liar.asked == []
    (tmp_path / to_cid(digest)).write_bytes(data[:-1] + b"?")
    assert ContentStore(ipfs.api, cache=tmp_path).fetch(digest, len(data), 5) == data


@pytest.mark.integration
def test_connect_peer__when_nobody_listens__then_a_content_error(store: ContentStore) -> None:
    with pytest.raises(ContentError):
        store.connect_peer(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}", 5)
    assert store.addresses()[0].startswith("/ip4/127.0.0.1/tcp/")
    assert store.version()
    assert PEER not in store.peers()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("size", "parts", "error"),
    [
        (4, [b"evil"], ContentMismatch),
        (4, [], ContentMismatch),
        (4, [b"x" * 4, b"x" * 100_000_000], ContentTooLarge),
        (1 << 60, [b"good"], ContentTooLarge),
        (-1, [b"good!"], ContentTooLarge),
    ],
)
def test_fetch__when_the_endpoint_lies__then_refuses_and_leaves_nothing(
    liar: LyingEndpoint, tmp_path: Path, size: int, parts: list[bytes], error: type[ContentError]
) -> None:
    liar.serve(size, parts)
    store = ContentStore(liar.api, cache=tmp_path / "cache")
    with pytest.raises(error):
        store.fetch(digest_of(b"good"), 4, 5)
    with pytest.raises(error):
        store.fetch_to(digest_of(b"good"), tmp_path / "file", 4, 5)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    liar.serve(4, [b"go", b"od"])
    assert store.fetch(digest_of(b"good"), 4, 5) == b"good"


@pytest.mark.integration
def test_add__when_the_endpoint_gives_another_cid__then_refuses(liar: LyingEndpoint) -> None:
    liar.answer = lambda _path: (200, [json.dumps({"Hash": to_cid(digest_of(b"other"))}).encode()])
    with pytest.raises(ContentMismatch, match="added it as Qm"):
        ContentStore(liar.api).add(b"mine")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (404, b"nothing here"), (502, b""), (200, b"")],
)
def test_calls__when_the_endpoint_is_no_kubo__then_a_content_error(
    liar: LyingEndpoint, status: int, body: bytes
) -> None:
    liar.answer = lambda _path: (status, [body])
    store = ContentStore(liar.api)
    for call in (store.version, lambda: store.fetch(digest_of(b"x"), 10, 1), lambda: store.add(b"x")):
        with pytest.raises(ContentError):
            call()


@pytest.mark.integration
def test_calls__when_nobody_listens__then_unreachable_with_the_address() -> None:
    store = ContentStore("http://127.0.0.1:1")
    for call in (store.version, store.pinned, lambda: store.fetch(digest_of(b"x"), 10, 1), lambda: store.add(b"x")):
        with pytest.raises(ContentUnreachable, match=r"http://127.0.0.1:1 \(Failed to establish.*refused\)") as caught:
            call()
        assert caught.value.retryable


@pytest.mark.unit
@pytest.mark.parametrize(
    "api", ["", "ftp://x", "127.0.0.1:5001", "http://", "http://x:y", "/ip4/1.2.3.4", "http://x/p"]
)
def test_content_store__when_the_address_is_none__then_refuses(api: str) -> None:
    with pytest.raises(BadInput, match="not the address of an IPFS endpoint"):
        ContentStore(api)


@pytest.mark.unit
@pytest.mark.parametrize(
    "api", ["http://localhost:5001", "https://ipfs.example.org", "http://[::1]:5001/", "/dns/x/tcp/80"]
)
def test_content_store__when_an_url_or_a_multiaddress__then_accepts(api: str) -> None:
    assert ContentStore(api).api == api
