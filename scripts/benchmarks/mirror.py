"""The mirror: 100,000 events of the market from a local anvil, and a bounty's page read from it.

The events are as in life: bounties of 50 rounds with 20 updates each, a transaction an event. They are written by a
stub at the market's address that emits what it is given, because running the market itself would take hours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from eth_abi.abi import encode

from ledger.artifacts import artifact
from ledger.batches import Batches
from ledger.chain import Chain, connect
from ledger.decoding import abi_type, event_topic
from ledger.devnet import Devnet, DevnetSettings, start_devnet
from ledger.history import build_history
from ledger.market import Market
from ledger.mirror import Mirror
from ledger.records import Address, BountyId
from scripts.benchmarks.measure import Figures, seconds_of

EVENTS, QUICK_EVENTS = 100_000, 10_000
ROUNDS, UPDATES = 50, 20
A_BLOCK = 100
"""Transactions in a block."""
PAGE_READS = 50
MARKET = Address("0x" + "11" * 20)
GAS = hex(200_000)


def run(quick: bool) -> Figures:
    """Mirror 100,000 events of a local anvil (target: 60 s) and read a bounty's page (target: 20 ms)."""
    wanted = QUICK_EVENTS if quick else EVENTS
    settings = DevnetSettings(block_seconds=0, accounts=UPDATES)
    with TemporaryDirectory(prefix="fedbounty-bench-") as folder, start_devnet(Path(folder), settings) as devnet:
        chain = connect(devnet.rpc_url)
        try:
            return _measure(chain, devnet, Path(folder) / "mirror.sqlite", wanted)
        finally:
            chain.close()


def _measure(chain: Chain, devnet: Devnet, path: Path, wanted: int) -> Figures:
    started = time.perf_counter()
    written = _write(chain, [key.address for key in devnet.keys], wanted)
    writing = time.perf_counter() - started
    mirror = Mirror.open(path, chain.chain_id, [MARKET])
    started, cpu = time.perf_counter(), time.process_time()
    result = mirror.sync(chain)
    taken, used = time.perf_counter() - started, time.process_time() - cpu
    assert result.logs == written
    pages, pages_cpu = _page_seconds(path, chain.chain_id)
    bounty = BountyId(1)
    market = Market(chain, MARKET)
    direct = seconds_of(lambda: build_history(market.events(bounty)), 3)
    assert mirror.events(bounty) == market.events(bounty)
    return {
        "sync": {
            "events": written, "blocks": result.last + 1, "seconds": taken, "events a second": written / taken,
            "own CPU seconds": used, "seconds for 100,000": taken / written * EVENTS,
        },
        "page (history and gas)": {
            "events": len(mirror.events(bounty)), "median ms": statistics.median(pages) * 1e3,
            "fastest ms": min(pages) * 1e3, "slowest ms": max(pages) * 1e3,
            "median CPU ms": statistics.median(pages_cpu) * 1e3,
            "straight from the chain, ms": statistics.median(direct) * 1e3,
        },
        "file": {"MB": path.stat().st_size / 1e6},
        "preparation": {"seconds": writing},
    }  # fmt: skip


def _page_seconds(path: Path, chain_id: int) -> tuple[list[float], list[float]]:
    """By the clock and of this thread; each time with the file newly opened, so that nothing is kept from before."""
    taken, used = [], []
    for number in range(PAGE_READS):
        mirror = Mirror.open(path, chain_id, [MARKET], read_only=True)
        bounties = mirror.bounties()
        bounty = bounties[number % len(bounties)]
        started, cpu = time.perf_counter(), time.thread_time()
        with mirror.snapshot():
            history, gas = mirror.history(bounty), mirror.gas_by_bounty(bounty)
        taken.append(time.perf_counter() - started)
        used.append(time.thread_time() - cpu)
        assert gas
        assert len(history.members) == UPDATES
        mirror.close()
    return taken, used


# --- writing events ---


@dataclass(frozen=True)
class Entry:
    """One event to emit: its name, its values by the ABI's order, and who sends the transaction."""

    name: str
    values: list[Any]
    sender: int


def _write(chain: Chain, accounts: list[Address], wanted: int) -> int:
    """Have the stub emit at least `wanted` events; how many there are."""
    batches = Batches(chain)
    shapes = {item["name"]: item for item in artifact("TrainingMarket")["abi"] if item["type"] == "event"}
    batches.ask([("anvil_setCode", [MARKET, "0x" + _stub().hex()]), ("evm_setAutomine", [False])])
    batches.ask([("evm_setBlockGasLimit", [hex(10**9)])])
    written, waiting, bounty = 0, [], 0
    while written < wanted:
        bounty += 1
        for entry in _bounty(bounty, accounts):
            data = "0x" + _calldata(shapes[entry.name], entry.values).hex()
            call = {"from": accounts[entry.sender], "to": MARKET, "data": data, "gas": GAS, "gasPrice": hex(10**10)}
            waiting.append(("eth_sendTransaction", [call]))
            written += 1
            if len(waiting) == A_BLOCK:
                batches.ask(waiting)
                batches.ask([("evm_mine", [])])
                waiting = []
    batches.ask([*waiting])
    batches.ask([("evm_mine", [])])
    return written


def _bounty(number: int, accounts: list[Address]) -> Iterator[Entry]:
    """The events of a whole bounty; one transaction each."""
    random = Random(number)  # noqa: S311 - not for secrets

    def word() -> bytes:
        return random.randbytes(32)

    owner = accounts[0]
    terms = (MARKET, 10**21, owner, 10**18, 10**18, 2**40, ROUNDS, 2, UPDATES, 0, 0, 1, 0, 10**17, 60, 60, 60, 60, 60,
             3, 100, 10**15, 60, word(), word(), bytes(32))  # fmt: skip
    yield Entry("Posted", [number, owner, terms], 0)
    yield Entry("BondDeposited", [number, owner, 10**18], 0)
    for index, account in enumerate(accounts):
        yield Entry("Joined", [number, account, index, 10**18, word(), f"/ip4/10.0.0.{index}/tcp/4001"], index)
    yield Entry("RoundOpened", [number, 1, 10**9], 0)
    for one in range(1, ROUNDS + 1):
        for index, account in enumerate(accounts):
            yield Entry("Committed", [number, one, account, word()], index)
        for index, account in enumerate(accounts):
            yield Entry("Revealed", [number, one, account, index, word(), word(), 10**9, 1], index)
        claim = (word(), word(), word(), word(), 10**19, UPDATES, 0, b"", bytes(32), bytes(32), bytes(32))
        yield Entry("Merged", [number, one, owner, claim, UPDATES, one - 1, 10**9 + one, 10**9 + one, word()[:28]], 0)
        if one < ROUNDS:
            yield Entry("RoundOpened", [number, one + 1, 10**9 + one], 0)
    yield Entry("Ended", [number, 10**9 + ROUNDS], 0)


def _stub() -> bytes:
    """A contract that emits its input: the place of the block of code for so many topics, four topics, the data."""
    push, load, size, subtract, copy, jump, here, stop = 0x60, 0x35, 0x36, 0x03, 0x37, 0x56, 0x5B, 0x00
    code = bytes([push, 160, size, subtract, push, 160, push, 0, copy, push, 0, load, jump])
    for topics in (2, 3, 4):
        code += bytes([here])
        for index in reversed(range(topics)):
            code += bytes([push, 32 + 32 * index, load])
        code += bytes([push, 160, size, subtract, push, 0, 0xA0 + topics, stop])
    return code


def _calldata(shape: dict[str, Any], values: list[Any]) -> bytes:
    pairs = list(zip(shape["inputs"], values, strict=True))
    topics = [event_topic(shape), *(encode([one["type"]], [value]) for one, value in pairs if one["indexed"])]
    plain = [(abi_type(one), value) for one, value in pairs if not one["indexed"]]
    places = [at for at, byte in enumerate(_stub()) if byte == 0x5B]
    head = places[len(topics) - 2].to_bytes(32, "big") + b"".join(topics).ljust(128, b"\0")
    return head + encode([kind for kind, _ in plain], [value for _, value in plain])
