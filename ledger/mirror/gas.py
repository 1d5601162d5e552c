"""What a bounty's transactions cost, by what they were for."""

from __future__ import annotations

import sqlite3

from ledger.abi_reading import checksummed
from ledger.decoding import EventDecoder
from ledger.mirror.records import GasUse
from ledger.records import Address, BountyId

CONSEQUENCES = {"RoundOpened", "Lapsed", "Ended", "BondForfeited"}
"""What time decided and some transaction wrote down on its way, or what follows from what it did."""


def gas_by_kind(database: sqlite3.Connection, decoder: EventDecoder, bounty: BountyId) -> list[GasUse]:
    """A transaction is for the last thing that it did itself. One that is about several bounties counts for each."""
    rows = database.execute(
        "SELECT logs.tx, substr(topics, 1, 32), sender, gas_used, gas_price FROM logs JOIN transactions AS t"
        " ON t.id = logs.tx WHERE contract = 1 AND subject = ? ORDER BY logs.id",
        (bounty.to_bytes(32, "big"),),
    ).fetchall()
    purposes: dict[int, tuple[str, bytes, int, int]] = {}
    for transaction, topic, sender, gas, price in rows:
        kind = decoder.name(topic)
        if transaction not in purposes or (kind and kind not in CONSEQUENCES):
            purposes[transaction] = (kind or "unknown", sender, gas, price)
    sums: dict[tuple[str, bytes], tuple[int, int, int]] = {}
    for kind, sender, gas, price in purposes.values():
        count, total, fee = sums.get((kind, sender), (0, 0, 0))
        sums[kind, sender] = (count + 1, total + gas, fee + gas * price)
    uses = [GasUse(kind, Address(checksummed(sender)), *sums[kind, sender]) for kind, sender in sums]
    return sorted(uses, key=lambda use: (-use.gas, use.kind, use.sender))
