"""An endpoint before the devnet: it passes everything on, and notes from which blocks on logs were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.ledger.endpoint import json_server, serving


@dataclass
class Witness:
    """logs: the first block of each request for logs."""

    url: str = ""
    logs: list[int] = field(default_factory=list)


@contextmanager
def witness(target: str) -> Iterator[Witness]:
    """target: the endpoint that answers."""
    seen = Witness()

    def answer(said: Any) -> tuple[int, bytes]:
        for one in said if isinstance(said, list) else [said]:
            if one["method"] == "eth_getLogs":
                seen.logs.append(int(one["params"][0]["fromBlock"], 16))
        return 200, requests.post(target, json=said, timeout=30).content

    server, seen.url = json_server(answer)
    with serving(server):
        yield seen
