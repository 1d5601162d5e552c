"""What a bounty's transactions cost, by what they were for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache

from ledger.abi_reading import WORD, checksummed
from ledger.artifacts import artifact
from ledger.decoding import event_topic
from ledger.mirror.records import GasUse
from ledger.records import Address, BountyId

CONSEQUENCES = {"RoundOpened", "Lapsed", "Ended", "BondForfeited"}
"""What time decided and some transaction wrote down on its way, or what follows from what it did."""

_JUDGES = ("FraudProofs", "MaskProofs", "MaskBoard", "ContributionScores")
"""The contracts that the market names, whose events name their bounty first."""

_OF_MARKET = (
    "SELECT logs.tx, topics, sender, gas_used, gas_price FROM logs JOIN transactions AS t ON t.id = logs.tx"
    " WHERE contract = 1 AND subject = ? ORDER BY logs.id"
)
_OF_JUDGES = """
    WITH others AS (SELECT id FROM contracts WHERE id > 1),
         demanded AS (SELECT id, subject FROM logs WHERE contract > 1 AND substr(topics, 65, 32) = :bounty),
         named AS (
             SELECT id FROM logs WHERE contract IN others AND subject = :bounty
             UNION SELECT id FROM demanded
             UNION SELECT id FROM logs WHERE contract IN others AND subject IN (SELECT subject FROM demanded))
    SELECT logs.tx, topics, sender, gas_used, gas_price FROM logs JOIN transactions AS t ON t.id = logs.tx
    WHERE logs.id IN named ORDER BY logs.id
"""
"""More than is of the bounty, since numbers of other things may be the same."""


def gas_by_kind(database: sqlite3.Connection, bounty: BountyId) -> list[GasUse]:
    """A transaction is for the last thing that it did itself, or that it told a judge.

    One that is about several bounties counts for each.
    """
    purposes: dict[int, tuple[str, bytes, int, int]] = {}
    names = _names("TrainingMarket")
    for transaction, topics, sender, gas, price in database.execute(_OF_MARKET, (bounty.to_bytes(WORD, "big"),)):
        kind = names.get(topics[:WORD], "unknown")
        if transaction not in purposes or kind not in CONSEQUENCES:
            purposes[transaction] = (kind, sender, gas, price)
    purposes.update(_to_judges(database, bounty))
    sums: dict[tuple[str, bytes], tuple[int, int, int]] = {}
    for kind, sender, gas, price in purposes.values():
        count, total, fee = sums.get((kind, sender), (0, 0, 0))
        sums[kind, sender] = (count + 1, total + gas, fee + gas * price)
    uses = [GasUse(kind, Address(checksummed(sender)), *figures) for (kind, sender), figures in sums.items()]
    return sorted(uses, key=lambda use: (-use.gas, use.kind, use.sender))


def _to_judges(database: sqlite3.Connection, bounty: BountyId) -> Iterator[tuple[int, tuple[str, bytes, int, int]]]:
    """Transactions to the judges: proofs name their bounty, demands do when they are made and then go by a number."""
    subject, demands = bounty.to_bytes(WORD, "big"), set()
    proofs = {name: kind for judge in _JUDGES for name, kind in _names(judge).items()}
    of_demands = _names("ChunkDemands")
    for transaction, topics, *costs in database.execute(_OF_JUDGES, {"bounty": subject}):
        kind = of_demands.get(topics[:WORD])
        first, second = topics[WORD : 2 * WORD], topics[2 * WORD : 3 * WORD]
        if kind == "ChunkDemanded" and second == subject:
            demands.add(first)
        if kind is None and first == subject:
            kind = proofs.get(topics[:WORD])
        elif first not in demands:
            kind = None
        if kind is not None:
            yield transaction, (kind, *costs)


@cache
def _names(contract: str) -> dict[bytes, str]:
    """A contract's events by the hash that opens their logs."""
    return {event_topic(item): str(item["name"]) for item in artifact(contract)["abi"] if item["type"] == "event"}
