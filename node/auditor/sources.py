"""Where an audit reads what happened: the chain itself, or a mirror of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.chain import Block, ContractLog
from ledger.market import Market
from ledger.records import Address, BountyId, Event


class EventSource(Protocol):
    """Events of a market and logs of the contracts that it names. A mirror is one."""

    def events(self, bounty: BountyId | None, first: int = 0, last: int | None = None) -> list[Event]:
        """The market's events in the order of execution; of all bounties for None. Blocks are inclusive."""

    def logs(self, address: Address, first: int = 0, last: int | None = None) -> Sequence[ContractLog]:
        """A contract's log entries in the order of execution. Blocks are inclusive."""


@dataclass(frozen=True)
class ChainEvents:
    """The chain as its endpoint tells it."""

    market: Market

    def events(self, bounty: BountyId | None, first: int = 0, last: int | None = None) -> list[Event]:
        return self.market.events(bounty, first, last)

    def logs(self, address: Address, first: int = 0, last: int | None = None) -> Sequence[ContractLog]:
        return self.market.chain.logs(address, None, first, last)


@dataclass(frozen=True)
class Told:
    """What a source tells up to a block. events: the market's, of all bounties."""

    source: EventSource
    block: Block
    events: Sequence[Event]

    def logs(self, address: Address) -> Sequence[ContractLog]:
        """A contract's log entries up to the block."""
        return self.source.logs(address, last=self.block.number)


def read_events(source: EventSource, block: Block) -> Told:
    return Told(source, block, source.events(None, last=block.number))
