"""An Ethereum endpoint that lies where a test wants it to: a real HTTP server before a small chain in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from ledger.artifacts import artifact
from ledger.batches import FIRST_BATCH
from ledger.decoding import event_topic
from ledger.keccak import keccak
from ledger.records import Address

MARKET = Address("0x" + "11" * 20)
ENDED = next(item for item in artifact("TrainingMarket")["abi"] if item["type"] == "event" and item["name"] == "Ended")
Answer = dict[str, Any]


def word(number: int) -> str:
    return f"0x{number:064x}"


def json_server(answer: Callable[[Any], tuple[int, bytes]]) -> tuple[ThreadingHTTPServer, str]:
    """A real HTTP server whose answers, status and body, follow from the requests' JSON; and its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server, f"http://127.0.0.1:{server.server_port}"


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer in a thread meanwhile."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ChainOfOurs:
    """A small chain in memory: each block has a hash that depends on those before it, and logs."""

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)  # noqa: S311 - not for secrets
        self.blocks: list[Answer] = []
        self.logs: list[list[Answer]] = []
        self.grow(1)

    def grow(self, blocks: int) -> None:
        for _ in range(blocks):
            number = len(self.blocks)
            before = self.blocks[-1]["hash"] if self.blocks else "0x"
            name = "0x" + keccak(f"{before} {number} {self.random.random()}".encode()).hex()
            self.blocks.append({"number": hex(number), "hash": name, "timestamp": hex(1000 + number)})
            self.logs.append([self._log(number, index) for index in range(self.random.choice([0, 0, 1, 3]))])

    def cut(self, blocks: int) -> None:
        """Take the newest blocks away."""
        keep = max(1, len(self.blocks) - blocks)
        del self.blocks[keep:], self.logs[keep:]

    def _log(self, number: int, index: int) -> Answer:
        transaction = keccak(f"{self.blocks[number]['hash']} {index // 2}".encode()).hex()
        return {
            "address": MARKET, "blockNumber": hex(number), "blockHash": self.blocks[number]["hash"],
            "logIndex": hex(index), "transactionHash": "0x" + transaction, "transactionIndex": hex(index // 2),
            "topics": ["0x" + event_topic(ENDED).hex(), word(1 + number % 3)], "data": word(1000 + number),
            "removed": False,
        }  # fmt: skip

    def result(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return "0x7a69"
        if method == "eth_getCode":
            return "0x60"
        if method == "eth_getBlockByNumber":
            number = len(self.blocks) - 1 if params[0] == "latest" else int(params[0], 16)
            found = self.blocks[number] if number < len(self.blocks) else None
            return found and {**found, "transactions": [], "parentHash": word(0)}
        if method == "eth_getLogs":
            first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
            return [log for logs in self.logs[first : last + 1] for log in logs]
        assert method == "eth_getTransactionReceipt"
        for logs in self.logs:
            for log in logs:
                if log["transactionHash"] == params[0]:
                    return {
                        "blockHash": log["blockHash"], "transactionHash": params[0], "from": "0x" + "22" * 20,
                        "gasUsed": hex(21_000), "effectiveGasPrice": hex(10**9),
                    }  # fmt: skip
        return None


class Endpoint:
    """A real HTTP server before such a chain. `meddle` may change an answer."""

    def __init__(self) -> None:
        self.chain = ChainOfOurs()
        self.meddle: Callable[[str, list[Any], Any], Any] = lambda method, params, result: result
        self.max_batch, self.max_range, self.status = FIRST_BATCH, 10**9, 200
        self.raw: bytes | None = None
        self.asked: list[str] = []
        self.batch_sizes: list[int] = []
        self.server, self.url = json_server(self.answer)

    def answer(self, request: Any) -> tuple[int, bytes]:
        if isinstance(request, dict):
            return 200, json.dumps(self._one(request)).encode()
        self.batch_sizes.append(len(request))
        if self.raw is not None:
            return 200, self.raw
        if len(request) > self.max_batch:
            error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "the batch is too large"}}
            return self.status, json.dumps(error).encode()
        return 200, json.dumps([self._one(one) for one in reversed(request)]).encode()

    def _one(self, request: Answer) -> Answer:
        method, params = request["method"], request.get("params") or []
        self.asked.append(method)
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if method == "eth_getLogs":
            width = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if width > self.max_range:
                return head | {"error": {"code": -32005, "message": "the range is too wide"}}
        return head | {"result": self.meddle(method, params, self.chain.result(method, params))}
