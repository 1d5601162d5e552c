"""One range of blocks from an endpoint, as rows: logs, the blocks that hold them, the transactions that wrote them.

Everything in a range is of one chain: the block at its end is asked for before and after, the block before its start
must be the one that is mirrored, and what is fetched for a log must name the log's block. Else `ChainMoved`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

from ledger.batches import Batches, Request, StrangeAnswer
from ledger.chain import Block
from ledger.keccak import Hash32
from ledger.records import Timestamp

LogRow: TypeAlias = tuple[int, int, int, bytes, bytes | None, bytes | None, bytes | None, bytes | None, bytes]
"""block, log_index, contract, hash, topic0 .. topic3, data."""

TransactionRow: TypeAlias = tuple[bytes, int, bytes, int, int]
"""hash, block, sender, gas_used, gas_price."""

MOST_TOPICS = 4
_SQLITE_INTEGER = 2**63


class ChainMoved(Exception):
    """The chain was reorganised while it was read: begin again from the last common block."""


@dataclass(frozen=True)
class Piece:
    """What the blocks first..last hold. headers: of blocks with logs, and those that were asked for besides."""

    first: int
    last: int
    headers: dict[int, Block] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)
    transactions: list[TransactionRow] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What to fetch. contracts: their row numbers by lower-case address. before: the mirrored block before `first`."""

    contracts: Mapping[str, int]
    first: int
    last: int
    before: Block | None
    headers: Sequence[int]


def headers(batches: Batches, numbers: Sequence[int]) -> list[Block | None]:
    """The blocks of these numbers; None where the node has none."""
    url = batches.chain.rpc_url
    return [_header(url, raw, number) for raw, number in zip(batches.ask(_by_number(numbers)), numbers, strict=True)]


def fetch(batches: Batches, wanted: Wanted) -> Piece:
    """Read a range.

    Raises: ChainMoved; NodeRefused and a ChainUnreachable by time-out where the range may be too wide; StrangeAnswer.
    """
    url = batches.chain.rpc_url
    [end] = headers(batches, [wanted.last])
    numbers = sorted({wanted.last, *wanted.headers, *([wanted.before.number] if wanted.before else [])})
    raw_logs, *raw_headers = batches.ask([_logs_request(wanted), *_by_number(numbers)])
    found = {number: _header(url, raw, number) for raw, number in zip(raw_headers, numbers, strict=True)}
    if end is None or found[wanted.last] != end or (wanted.before and found[wanted.before.number] != wanted.before):
        raise ChainMoved
    known = {number: block for number, block in found.items() if block is not None}
    if len(known) != len(numbers):
        raise ChainMoved
    try:
        logs, hashes, times = _read_logs(wanted, raw_logs)
        receipts = _fetch_receipts(batches, logs, hashes)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StrangeAnswer(url, f"logs or receipts with {type(error).__name__}: {str(error)[:100]}") from error
    with_logs = _blocks_of_logs(batches, hashes, times, known)
    [still] = headers(batches, [wanted.last])
    if still != end:
        raise ChainMoved
    kept = {number: known[number] for number in wanted.headers}
    return Piece(wanted.first, wanted.last, {**kept, **with_logs}, logs, receipts)


def _logs_request(wanted: Wanted) -> Request:
    if wanted.first > wanted.last:
        return "eth_chainId", []
    query = {"address": list(wanted.contracts), "fromBlock": hex(wanted.first), "toBlock": hex(wanted.last)}
    return "eth_getLogs", [query]


def _by_number(numbers: Iterable[int]) -> list[Request]:
    return [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]


def _header(url: str, raw: Any, number: int) -> Block | None:
    if raw is None:
        return None
    try:
        block = Block(int(raw["number"], 16), Hash32(_word(raw["hash"])), Timestamp(_integer(raw["timestamp"])))
    except (ValueError, TypeError, KeyError) as error:
        raise StrangeAnswer(url, f"block {number} with {type(error).__name__}") from error
    if block.number != number:
        raise StrangeAnswer(url, f"block {block.number} for block {number}")
    return block


def _read_logs(wanted: Wanted, raw: Any) -> tuple[list[LogRow], dict[int, bytes], dict[int, int]]:
    """The rows in the order of execution, and each block's hash and, where the node tells it, time."""
    rows: list[LogRow] = []
    hashes: dict[int, bytes] = {}
    times: dict[int, int] = {}
    for entry in raw if wanted.first <= wanted.last else ():
        if entry.get("removed"):
            raise ChainMoved
        number = int(entry["blockNumber"], 16)
        if not wanted.first <= number <= wanted.last:
            raise ValueError(f"a log of block {number}, which was not asked for")
        block_hash = _word(entry["blockHash"])
        if hashes.setdefault(number, block_hash) != block_hash:
            raise ValueError(f"two hashes of block {number}")
        if "blockTimestamp" in entry:
            times[number] = _integer(entry["blockTimestamp"])
        topics = [_word(topic) for topic in entry["topics"]]
        topic0, topic1, topic2, topic3 = [*topics, None, None, None, None][:MOST_TOPICS]
        if len(topics) > MOST_TOPICS:
            raise ValueError(f"{len(topics)} topics")
        contract = wanted.contracts[entry["address"].lower()]
        transaction = _word(entry["transactionHash"])
        data = bytes.fromhex(entry["data"][2:])
        index = _integer(entry["logIndex"])
        rows.append((number, index, contract, transaction, topic0, topic1, topic2, topic3, data))
    rows.sort(key=lambda row: row[:2])
    if any(before[:2] == after[:2] for before, after in pairwise(rows)):
        raise ValueError("one log twice")
    return rows, hashes, times


def _fetch_receipts(batches: Batches, logs: Sequence[LogRow], hashes: Mapping[int, bytes]) -> list[TransactionRow]:
    blocks: dict[bytes, int] = {}
    for number, _, _, transaction, *_ in logs:
        if blocks.setdefault(transaction, number) != number:
            raise ValueError("one transaction in two blocks")
    asked: list[Request] = [("eth_getTransactionReceipt", ["0x" + transaction.hex()]) for transaction in blocks]
    rows: list[TransactionRow] = []
    for receipt, (transaction, number) in zip(batches.ask(asked), blocks.items(), strict=True):
        if receipt is None or _word(receipt["blockHash"]) != hashes[number]:
            raise ChainMoved
        if _word(receipt["transactionHash"]) != transaction:
            raise ValueError("the receipt of another transaction")
        sender = bytes.fromhex(receipt["from"][2:])
        if len(sender) != 20:
            raise ValueError("a sender that is no address")
        price = _integer(receipt.get("effectiveGasPrice") or "0x0")
        rows.append((transaction, number, sender, _integer(receipt["gasUsed"]), price))
    return rows


def _blocks_of_logs(
    batches: Batches, hashes: Mapping[int, bytes], times: Mapping[int, int], known: Mapping[int, Block]
) -> dict[int, Block]:
    """The blocks that hold logs; asked for where neither the logs nor a header tell their time."""
    found = {number: Block(number, Hash32(hashes[number]), Timestamp(time)) for number, time in times.items()}
    lacking = [number for number in hashes if number not in times]
    for number, block in zip(lacking, headers(batches, lacking), strict=True):
        if block is not None:
            found[number] = block
    for number, block_hash in hashes.items():
        if number not in found or found[number].hash != block_hash or known.get(number, found[number]) != found[number]:
            raise ChainMoved
    return found


def _word(text: str) -> bytes:
    """A 32-byte value."""
    value = bytes.fromhex(text[2:])
    if len(value) != 32:
        raise ValueError(f"{len(value)} bytes instead of 32")
    return value


def _integer(text: str) -> int:
    """A number that fits SQLite's integers."""
    value = int(text, 16)
    if not 0 <= value < _SQLITE_INTEGER:
        raise ValueError("a number out of range")
    return value
