"""An endpoint before the devnet: it passes everything on, and notes from which blocks on logs were asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


@dataclass
class Witness:
    """logs: the first block of each request for logs."""

    url: str = ""
    logs: list[int] = field(default_factory=list)


@contextmanager
def witness(target: str) -> Iterator[Witness]:
    """target: the endpoint that answers."""
    seen = Witness()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said = json.loads(body)
            for one in said if isinstance(said, list) else [said]:
                if one["method"] == "eth_getLogs":
                    seen.logs.append(int(one["params"][0]["fromBlock"], 16))
            answer = requests.post(target, data=body, headers={"content-type": "application/json"}, timeout=30).content
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
