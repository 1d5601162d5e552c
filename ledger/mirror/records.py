"""What the mirror tells: transactions and their gas, hits of a search, how far it got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ledger.records import Address, BountyId, Timestamp

Progress: TypeAlias = Callable[[int, int, int], None]
"""Called after each range that was written: the last block in it, the block to get to, the logs written so far."""


@dataclass(frozen=True)
class SyncResult:
    """What one call of `Mirror.sync` did.

    first, last: blocks that were read, inclusive; `last` is where the mirror ends now, -1 if it is empty.
    logs:        log entries that were written.
    removed:     the mirrored blocks above the last common one, because the chain no longer has them; 0 without a reorg.
    restarted:   whether the chain is another one from its first block on, so that nothing could be kept.
    """

    first: int
    last: int
    logs: int
    removed: int = 0
    restarted: bool = False


@dataclass(frozen=True)
class MirroredTransaction:
    """A transaction that wrote mirrored logs. gas_price: what was paid, in wei a unit of gas."""

    hash: str
    block: int
    time: Timestamp
    sender: Address
    gas_used: int
    gas_price: int

    @property
    def fee(self) -> int:
        """Wei of ether."""
        return self.gas_used * self.gas_price


@dataclass(frozen=True)
class GasUse:
    """What one sender's transactions of one kind took. kind: the name of the event that the transactions are for."""

    kind: str
    sender: Address
    transactions: int
    gas: int
    fee: int


@dataclass(frozen=True)
class SearchHit:
    """Something that a search found. value: the full address, hash or CID; the number, for a bounty or evaluation."""

    kind: Literal["bounty", "evaluation", "account", "transaction", "cid", "root"]
    value: str
    label: str
    bounty: BountyId | None = None
    round: int | None = None
    evaluation: int | None = None
