"""Connecting to members whose nodes are somebody's word."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from ledger.content import ContentStore
from node.connections import PEER_SECONDS, connect_peers

pytestmark = pytest.mark.integration

PEER = "QmbNqADcnajwmujvB3eA9RYf77bcUTgCq3r8cV9GjECH8o"
TOGETHER = 8


class Waiting:
    """A real endpoint that answers a connection only when several more are asked for at the same time."""

    def __init__(self) -> None:
        self.met, self.queries = threading.Barrier(TOGETHER), list[dict[str, list[str]]]()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = urlsplit(self.path)
                answer: object = {"Addresses": []}
                if parts.path.endswith("/swarm/connect"):
                    owner.queries.append(parse_qs(parts.query))
                    owner.met.wait(20)
                    answer = {"Strings": ["connected"]}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.api = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    made = Waiting()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_connect_peers__when_nodes_keep_it_waiting__then_they_wait_together_and_rubbish_is_passed_over(
    waiting: Waiting,
) -> None:
    peers = [f"/ip4/10.0.0.{number}/tcp/4001/p2p/{PEER}" for number in range(TOGETHER)]
    connect_peers(ContentStore(waiting.api), ["", "rubbish", *peers, *peers])
    assert not waiting.met.broken
    assert sorted(query["arg"][0] for query in waiting.queries) == peers
    assert {query["timeout"][0] for query in waiting.queries} == {f"{PEER_SECONDS:.3f}s"}
