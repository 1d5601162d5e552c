"""Finding what a person has a piece of: the number of a bounty or evaluation, an address, transaction, CID or root."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeAlias

from ledger.abi_reading import checksummed
from ledger.artifacts import artifact
from ledger.cid import from_cid, to_cid
from ledger.decoding import EventDecoder, LogDecoder, UndecodableLog, event_topic
from ledger.errors import BadInput
from ledger.evaluation_records import EvaluationEvent
from ledger.mirror.records import SearchHit
from ledger.mirror.schema import block_of, id_at, index_of
from ledger.records import Address, BountyId, Event, Position
from ledger.score_records import ScoreEvent

MOST_HITS = 50
MOST_TEXT = 80
"""Longer than anything that can be found."""

_PARTS = {"evaluators": "evaluator"}
_MARKET_PARTS = {"account": "bond holder"}
_EVALUATION_PARTS = {"account": "reporter"}
"""What an account is, where the event's own word for it says little."""

_FILES = ("manifest", "validation")
_LOGS = "SELECT contract, id, topics, data FROM logs WHERE "
_POSTED = "SELECT 1 FROM logs WHERE contract > 1 AND subject = ? AND substr(topics, 1, 32) = ? LIMIT 1"

Found: TypeAlias = Event | EvaluationEvent


@dataclass(frozen=True)
class Decoders:
    """How logs are read: the market's, and those of the contracts that are followed besides it."""

    market: EventDecoder
    others: tuple[LogDecoder[Any], ...]

    def read(self, contract: int, place: int, topics: bytes, data: bytes) -> Found | None:
        """The event; None for others, and for what can't be decoded: a search shows what it can."""
        at = Position(block_of(place), index_of(place), "")
        for decoder in (self.market,) if contract == 1 else self.others:
            try:
                event: Found | None = decoder.read(at, topics, data)
            except UndecodableLog:
                continue
            if event is not None:
                return event
        return None


@cache
def decoders() -> Decoders:
    abis = {name: artifact(name)["abi"] for name in ("TrainingMarket", "ContributionScores", "EvaluationMarket")}
    others = (
        LogDecoder(abis["ContributionScores"], ScoreEvent),
        LogDecoder(abis["EvaluationMarket"], EvaluationEvent),
    )
    return Decoders(EventDecoder(abis["TrainingMarket"]), others)


@cache
def _posting() -> bytes:
    """The hash that opens the log of an evaluation's posting."""
    abi = artifact("EvaluationMarket")["abi"]
    return next(event_topic(item) for item in abi if item["type"] == "event" and item["name"] == "EvaluationPosted")


def search(database: sqlite3.Connection, text: str) -> list[SearchHit]:
    """Hits, the newest first, at most about `MOST_HITS`; hostile text finds nothing."""
    wanted = text.strip()[:MOST_TEXT]
    if wanted.isascii() and wanted.isdecimal():
        return _number(database, int(wanted))
    try:
        digest = from_cid(wanted)
    except BadInput:
        pass
    else:
        return _words(database, digest, is_cid=True)
    try:
        value = bytes.fromhex(wanted.removeprefix("0x").removeprefix("0X"))
    except ValueError:
        return []
    if len(value) == 20:
        return _account(database, value)
    if len(value) == 32:
        return _transaction(database, value) + _words(database, value, is_cid=False)
    return []


def _number(database: sqlite3.Connection, number: int) -> list[SearchHit]:
    """The bounty and the evaluation of a number."""
    if not 0 < number < 2**256:
        return []
    topic, hits = number.to_bytes(32, "big"), []
    if database.execute("SELECT 1 FROM logs WHERE contract = 1 AND subject = ? LIMIT 1", (topic,)).fetchone():
        hits.append(SearchHit("bounty", str(number), f"bounty {number}", BountyId(number)))
    if database.execute(_POSTED, (topic, _posting())).fetchone():
        hits.append(SearchHit("evaluation", str(number), f"evaluation {number}", evaluation=number))
    return hits


def _account(database: sqlite3.Connection, value: bytes) -> list[SearchHit]:
    """One hit a bounty, or evaluation, and part that the account has in it."""
    account, topic = Address(checksummed(value)), bytes(12) + value
    rows = database.execute(_LOGS + "(instr(topics, ?) OR instr(data, ?)) ORDER BY id DESC", (topic, topic))
    hits: dict[str, SearchHit] = {}
    for event in _events(rows):
        parts = _PARTS | (_EVALUATION_PARTS if isinstance(event, EvaluationEvent) else _MARKET_PARTS)
        for name in _names(event, account):
            label = f"{parts.get(name, name)} of {_place(event)}"
            hits.setdefault(label, SearchHit("account", account, label, **_subject(event)))
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


def _words(database: sqlite3.Connection, value: bytes, is_cid: bool) -> list[SearchHit]:
    """Where a 32-byte value stands in an event."""
    hits: list[SearchHit] = []
    rows = database.execute(_LOGS + "instr(data, ?) ORDER BY id DESC", (value,))
    for event in _events(rows):
        for name in _names(event, value):
            of_file = name in _FILES or name.endswith("cid")
            if is_cid and not of_file:
                continue
            number, who = getattr(event, "round", None), getattr(event, "provider", None)
            place = _place(event) if number is None else f"round {number} of {_place(event)}"
            label = f"{name.replace('_', ' ')} in {place}" + (f" by {who}" if who else "")
            shown = to_cid(value) if of_file else "0x" + value.hex()  # type: ignore[arg-type]
            hits.append(SearchHit("cid" if of_file else "root", shown, label, round=number, **_subject(event)))
        if len(hits) >= MOST_HITS:
            break
    return hits


def _events(rows: sqlite3.Cursor) -> Iterator[Found]:
    read = decoders().read
    for row in rows:
        event = read(*row)
        if event is not None:
            yield event


def _place(event: Found) -> str:
    return f"evaluation {event.evaluation}" if isinstance(event, EvaluationEvent) else f"bounty {event.bounty}"


def _subject(event: Found) -> dict[str, Any]:
    """What a hit is about."""
    return {"evaluation": event.evaluation} if isinstance(event, EvaluationEvent) else {"bounty": event.bounty}


def _names(record: Found | Any, value: object) -> list[str]:
    """The fields of an event, or of the terms, claim or panel in it, that hold a value."""
    found: list[str] = []
    for field in fields(record):
        held = getattr(record, field.name)
        if is_dataclass(held) and field.name != "at":
            found += _names(held, value)
        elif held == value or (isinstance(held, tuple) and value in held):
            found.append(field.name)
    return found
