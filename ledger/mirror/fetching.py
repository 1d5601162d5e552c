"""One range of blocks from an endpoint, as rows: logs, the blocks that hold them, the transactions that wrote them.

Everything in a range is of one chain: the block at its end is asked for before and after, the block before its start
must be the one that is mirrored, and what is fetched for a log must name the log's block. Else `ChainMoved`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeAlias

from ledger.batches import Batches, Request
from ledger.chain import Block
from ledger.errors import StrangeAnswer
from ledger.keccak import Hash32
from ledger.mirror.schema import INDEX_BITS, block_of, id_at
from ledger.records import Timestamp

LogRow: TypeAlias = tuple[int, int, int, bytes | None, bytes, bytes]
"""id, contract, tx, subject, topics, data: as in the table."""

TransactionRow: TypeAlias = tuple[int, bytes, bytes, int, int]
"""id, hash, sender, gas_used, gas_price: as in the table."""

MOST_TOPICS = 4
ADDRESS_BYTES = 20
_SQLITE_INTEGER = 2**63


class ChainMoved(Exception):
    """The chain was reorganised while it was read: begin again from the last common block."""


@dataclass(frozen=True)
class Piece:
    """What a range holds. end: its last block. headers: of blocks with logs, and those that were asked for besides."""

    end: Block
    headers: dict[int, Block] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)
    transactions: list[TransactionRow] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What to fetch. contracts: their row numbers by lower-case address. before: the block before `first`, if known."""

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
        read = _read_logs(wanted, raw_logs if wanted.first <= wanted.last else [])
        transactions = _fetch_receipts(batches, read)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StrangeAnswer(url, f"logs or receipts with {type(error).__name__}: {str(error)[:100]}") from error
    with_logs = _blocks_of_logs(batches, read, known)
    [still] = headers(batches, [wanted.last])
    if still != end:
        raise ChainMoved
    kept = {number: known[number] for number in wanted.headers}
    return Piece(end, {**kept, **with_logs}, read.rows, transactions)


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


@dataclass
class _Read:
    """What the answer to a request for logs holds.

    rows:         in the order of execution.
    transactions: hashes by `id`.
    hashes:       the blocks', by number.
    times:        the blocks', where the node tells them with the logs.
    """

    rows: list[LogRow] = field(default_factory=list)
    transactions: dict[int, bytes] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)


def _read_logs(wanted: Wanted, raw: Sequence[Mapping[str, Any]]) -> _Read:
    """Check and convert log entries, in whatever order they come.

    Raises: ChainMoved; ValueError and the like where an entry is not what it should be.
    """
    read = _Read()
    for entry in raw:
        if entry.get("removed"):
            raise ChainMoved
        number = int(entry["blockNumber"], 16)
        if not wanted.first <= number <= wanted.last:
            raise ValueError(f"a log of block {number}, which was not asked for")
        block_hash, transaction = _word(entry["blockHash"]), _word(entry["transactionHash"])
        transaction_id = id_at(number, _index(entry["transactionIndex"]))
        if read.hashes.setdefault(number, block_hash) != block_hash:
            raise ValueError(f"two hashes of block {number}")
        if read.transactions.setdefault(transaction_id, transaction) != transaction:
            raise ValueError("two transactions at one place")
        if "blockTimestamp" in entry:
            read.times[number] = _integer(entry["blockTimestamp"])
        topics = [_word(topic) for topic in entry["topics"]]
        if len(topics) > MOST_TOPICS:
            raise ValueError(f"{len(topics)} topics")
        contract = wanted.contracts[entry["address"].lower()]
        subject = topics[1] if len(topics) > 1 else None
        log_id = id_at(number, _index(entry["logIndex"]))
        data = bytes.fromhex(entry["data"][2:])
        read.rows.append((log_id, contract, transaction_id, subject, b"".join(topics), data))
    read.rows.sort(key=itemgetter(0))
    if any(before[0] == after[0] for before, after in pairwise(read.rows)):
        raise ValueError("one log twice")
    if len(set(read.transactions.values())) != len(read.transactions):
        raise ValueError("one transaction at two places")
    return read


def _fetch_receipts(batches: Batches, read: _Read) -> list[TransactionRow]:
    """The transactions that wrote the logs, in the order of execution.

    Raises: as `_read_logs`.
    """
    rows: list[TransactionRow] = []
    ordered = sorted(read.transactions.items())
    asked: list[Request] = [("eth_getTransactionReceipt", ["0x" + value.hex()]) for _, value in ordered]
    for receipt, (place, transaction) in zip(batches.ask(asked), ordered, strict=True):
        if receipt is None or _word(receipt["blockHash"]) != read.hashes[block_of(place)]:
            raise ChainMoved
        if _word(receipt["transactionHash"]) != transaction:
            raise ValueError("the receipt of another transaction")
        sender = bytes.fromhex(receipt["from"][2:])
        if len(sender) != ADDRESS_BYTES:
            raise ValueError("a sender that is no address")
        price = _integer(receipt.get("effectiveGasPrice") or "0x0")
        rows.append((place, transaction, sender, _integer(receipt["gasUsed"]), price))
    return rows


def _blocks_of_logs(batches: Batches, read: _Read, known: Mapping[int, Block]) -> dict[int, Block]:
    """The blocks that hold logs; asked for where neither the logs nor a header tell their time."""
    hashes = read.hashes
    found = {number: Block(number, Hash32(hashes[number]), Timestamp(time)) for number, time in read.times.items()}
    lacking = [number for number in hashes if number not in read.times]
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


def _index(text: str) -> int:
    """A place in a block."""
    value = int(text, 16)
    if not 0 <= value < 1 << INDEX_BITS:
        raise ValueError("an index out of range")
    return value
