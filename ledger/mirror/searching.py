"""Finding what a person has a piece of: a bounty's number, an address, a transaction, a CID, a root."""

from __future__ import annotations

import sqlite3
from dataclasses import fields, is_dataclass
from typing import Any

from ledger.abi_reading import checksummed
from ledger.cid import from_cid, to_cid
from ledger.decoding import EventDecoder, UndecodableLog
from ledger.errors import BadInput
from ledger.mirror.records import SearchHit
from ledger.mirror.schema import block_of, id_at, index_of
from ledger.records import Address, BountyId, Event, Position

MOST_HITS = 50
MOST_TEXT = 80
"""Longer than anything that can be found."""

_MARKET_LOGS = "SELECT id, topics, data FROM logs WHERE contract = 1 AND "

_PARTS = {"account": "bond holder"}
"""What an account is, where the event's own word for it says little."""


def search(database: sqlite3.Connection, decoder: EventDecoder, text: str) -> list[SearchHit]:
    """Hits, the newest first, at most about `MOST_HITS`; hostile text finds nothing."""
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
    row = database.execute("SELECT 1 FROM logs WHERE contract = 1 AND subject = ? LIMIT 1", (topic,)).fetchone()
    return [SearchHit("bounty", str(number), f"bounty {number}", BountyId(number))] if row else []


def _account(database: sqlite3.Connection, decoder: EventDecoder, value: bytes) -> list[SearchHit]:
    """One hit a bounty and part that the account has in it."""
    account, topic = Address(checksummed(value)), bytes(12) + value
    rows = database.execute(_MARKET_LOGS + "(instr(topics, ?) OR instr(data, ?)) ORDER BY id DESC", (topic, topic))
    hits: dict[tuple[str, BountyId], SearchHit] = {}
    for event in _events(decoder, rows):
        for name in _names(event, account):
            label = f"{_PARTS.get(name, name)} of bounty {event.bounty}"
            hits.setdefault((name, event.bounty), SearchHit("account", account, label, event.bounty))
        if len(hits) >= MOST_HITS:
            break
    return list(hits.values())


def _transaction(database: sqlite3.Connection, value: bytes) -> list[SearchHit]:
    row = database.execute("SELECT id FROM transactions WHERE hash = ?", (value,)).fetchone()
    if row is None:
        return []
    block = block_of(row[0])
    subjects = database.execute(
        "SELECT DISTINCT subject FROM logs WHERE id >= ? AND id < ? AND tx = ? AND contract = 1 AND subject NOT NULL"
        " ORDER BY 1",
        (id_at(block), id_at(block + 1), row[0]),
    ).fetchall()
    bounties = [int.from_bytes(subject, "big") for (subject,) in subjects]
    name = "0x" + value.hex()
    label = f"transaction in block {block}"
    return [SearchHit("transaction", name, label, BountyId(one)) for one in bounties] or [
        SearchHit("transaction", name, label)
    ]


def _words(database: sqlite3.Connection, decoder: EventDecoder, value: bytes, is_cid: bool) -> list[SearchHit]:
    """Where a 32-byte value stands in an event."""
    hits: list[SearchHit] = []
    rows = database.execute(_MARKET_LOGS + "instr(data, ?) ORDER BY id DESC", (value,))
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
    for place, topics, data in rows:
        try:
            event = decoder.read(Position(block_of(place), index_of(place), ""), topics, data)
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
