"""Finding what a person has a piece of: a bounty's number, an address, a transaction, a CID, a root."""

from __future__ import annotations

import sqlite3
from dataclasses import fields, is_dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from ledger.chain import ContractLog
from ledger.cid import from_cid, to_cid
from ledger.decoding import EventDecoder, UndecodableLog
from ledger.errors import BadInput
from ledger.mirror.records import SearchHit
from ledger.records import Address, BountyId, Event, Position

MOST_HITS = 50
MOST_TEXT = 80
"""Longer than anything that can be found."""

_MARKET_LOG = "SELECT block, log_index, hash, topic0, topic1, topic2, topic3, data FROM logs WHERE contract = 1 AND "


def search(database: sqlite3.Connection, decoder: EventDecoder, text: str) -> list[SearchHit]:
    """Hits in the order of the chain, at most `MOST_HITS`; hostile text finds nothing."""
    wanted = text.strip()[:MOST_TEXT]
    if wanted.isascii() and wanted.isdecimal():
        return _bounty(database, int(wanted))
    try:
        digest = from_cid(wanted)
    except BadInput:
        pass
    else:
        return _words(database, decoder, digest, is_cid=True)
    try:
        value = bytes.fromhex(wanted.removeprefix("0x").removeprefix("0X"))
    except ValueError:
        return []
    if len(value) == 20:
        return _account(database, decoder, value)
    if len(value) == 32:
        return _transaction(database, value) + _words(database, decoder, value, is_cid=False)
    return []


def _bounty(database: sqlite3.Connection, number: int) -> list[SearchHit]:
    if not 0 < number < 2**256:
        return []
    topic = number.to_bytes(32, "big")
    row = database.execute("SELECT 1 FROM logs WHERE contract = 1 AND topic1 = ? LIMIT 1", (topic,)).fetchone()
    return [SearchHit("bounty", str(number), f"bounty {number}", BountyId(number))] if row else []


def _account(database: sqlite3.Connection, decoder: EventDecoder, value: bytes) -> list[SearchHit]:
    """One hit a bounty and part that the account has in it."""
    account, topic = Address(to_checksum_address(value)), bytes(12) + value
    rows = database.execute(
        _MARKET_LOG + "(topic2 = ? OR topic3 = ? OR instr(data, ?)) ORDER BY block, log_index", (topic, topic, topic)
    )
    hits: dict[tuple[str, BountyId], SearchHit] = {}
    for event in _events(decoder, rows):
        for name in _names(event, account):
            label = f"{name} of bounty {event.bounty}"
            hits.setdefault((name, event.bounty), SearchHit("account", account, label, event.bounty))
        if len(hits) >= MOST_HITS:
            break
    return list(hits.values())


def _transaction(database: sqlite3.Connection, value: bytes) -> list[SearchHit]:
    row = database.execute("SELECT block FROM transactions WHERE hash = ?", (value,)).fetchone()
    if row is None:
        return []
    topics = database.execute(
        "SELECT topic1 FROM logs WHERE block = ? AND hash = ? AND contract = 1 AND topic1 IS NOT NULL", (row[0], value)
    ).fetchall()
    bounties = sorted({int.from_bytes(topic, "big") for (topic,) in topics})
    name = "0x" + value.hex()
    label = f"transaction in block {row[0]}"
    return [SearchHit("transaction", name, label, BountyId(one)) for one in bounties] or [
        SearchHit("transaction", name, label)
    ]


def _words(database: sqlite3.Connection, decoder: EventDecoder, value: bytes, is_cid: bool) -> list[SearchHit]:
    """Where a 32-byte value stands in an event."""
    hits: list[SearchHit] = []
    rows = database.execute(_MARKET_LOG + "instr(data, ?) ORDER BY block, log_index", (value,))
    for event in _events(decoder, rows):
        for name in _names(event, value):
            of_file = name == "manifest" or name.endswith("cid")
            if is_cid and not of_file:
                continue
            number = getattr(event, "round", None)
            place = f"bounty {event.bounty}" if number is None else f"round {number} of bounty {event.bounty}"
            who = getattr(event, "provider", None)
            label = f"{name.replace('_', ' ')} in {place}" + (f" by {who}" if who else "")
            shown = to_cid(value) if of_file else "0x" + value.hex()  # type: ignore[arg-type]
            hits.append(SearchHit("cid" if of_file else "root", shown, label, event.bounty, number))
        if len(hits) >= MOST_HITS:
            break
    return hits


def _events(decoder: EventDecoder, rows: sqlite3.Cursor) -> Any:
    """The events in rows; what can't be decoded is passed over: a search shows what it can."""
    for block, index, transaction, *topics, data in rows:
        present = tuple(topic for topic in topics if topic is not None)
        log = ContractLog(Position(block, index, "0x" + transaction.hex()), present, data, Address(""))
        try:
            event = decoder.decode(log)
        except UndecodableLog:
            continue
        if event is not None:
            yield event


def _names(record: Event | Any, value: object) -> list[str]:
    """The fields of an event, or of the terms or claim in it, that hold a value."""
    found: list[str] = []
    for field in fields(record):
        held = getattr(record, field.name)
        if is_dataclass(held) and field.name != "at":
            found += _names(held, value)
        elif held == value:
            found.append(field.name)
    return found
