"""The contract that takes demands for withheld chunks, typed. docs/PROTOCOL.md, section 10; `IChunkDemands`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from ledger.chain import Block, Chain, ContractLog
from ledger.decoding import UndecodableLog, event_topic
from ledger.keccak import ZERO_HASH, Hash32
from ledger.merge_records import MergeRecord
from ledger.proofs import Opening, judge_abi, record_values
from ledger.records import Address, BountyId, Merged, Position, Timestamp
from ledger.transactions import Receipt, Transactor

_BODIES = {
    "ChunkDemanded": ("(uint256,uint16,uint8,bytes32,uint32)", "uint32"),
    "ChunkAnswered": ("bytes", "bytes"),
    "DemandEnded": ("bool",),
}


class ChunkKind(IntEnum):
    """What can be demanded; numbered as on chain."""

    STATE = 0
    UPDATE = 1
    PAYOUT = 2
    CLIP = 3
    DISTANCE = 4
    MASKS = 5

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Demanded:
    """What a demand is for. key: the update's root; the distance tree's pair; else 0.

    index: of the chunk or leaf; a masked update's key leaf is behind its last chunk.
    """

    bounty: BountyId
    round: int
    kind: ChunkKind
    key: Hash32 = ZERO_HASH
    index: int = 0

    def solidity(self) -> tuple[int, int, int, bytes, int]:
        return self.bounty, self.round, int(self.kind), self.key, self.index

    def __str__(self) -> str:
        of = f" of {self.kind.label} 0x{self.key.hex()}" if any(self.key) else f" of the {self.kind.label}"
        return f"chunk {self.index}{of}, round {self.round}"


@dataclass(frozen=True)
class Demand:
    """A demand as its events tell it.

    at:     where in the chain it was made, so that it is about the merge that stood then.
    answer: what was shown; None while nothing was.
    ended:  it was not answered, or its merge fell otherwise; `voided` if it took the merge down.
    """

    id: int
    demanded: Demanded
    ends_at: Timestamp
    at: Position
    answer: Opening | None = None
    ended: bool = False
    voided: bool = False

    @property
    def is_open(self) -> bool:
        return self.answer is None and not self.ended


class ChunkDemands:
    """Reads of the contract that takes demands.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        abi = judge_abi("ChunkDemands")
        self.chain, self.address = chain, address
        self.contract = chain.contract(address, abi)
        self._names = {event_topic(item): str(item["name"]) for item in abi if item["type"] == "event"}

    def of(self, bounty: BountyId, last: int | None = None) -> list[Demand]:
        """All demands about a bounty up to block `last`, in the order in which they were made."""
        found: dict[int, Demand] = {}
        for log in self.chain.logs(self.address, None, 0, last):
            self._apply(found, log)
        return [demand for demand in found.values() if demand.demanded.bounty == bounty]

    def demander(self, demand: int, at: Block | None = None) -> Address | None:
        """Who made a demand that is still open; None for any other."""
        who = str(self.chain.call(self.contract.functions.demandOf(demand), at)[1])
        return Address(to_checksum_address(who)) if int(who, 16) else None

    def _apply(self, found: dict[int, Demand], log: ContractLog) -> None:
        name = self._names.get(log.topics[0], "") if log.topics else ""
        if name not in _BODIES:
            return
        try:
            body = decode(_BODIES[name], log.data)
        except DecodingError as error:
            raise UndecodableLog(log.at, str(error)) from error
        number = int.from_bytes(log.topics[1], "big")
        match name:
            case "ChunkDemanded":
                (bounty, round_number, kind, key, index), ends_at = body
                what = Demanded(BountyId(bounty), round_number, ChunkKind(kind), Hash32(key), index)
                found[number] = Demand(number, what, Timestamp(ends_at), log.at)
            case "ChunkAnswered":
                found[number] = replace(found[number], answer=Opening(*body))
            case "DemandEnded":
                found[number] = replace(found[number], ended=True, voided=bool(body[0]))


class DemandWriter:
    """One account's demands and answers.

    Raises: Reverted with the contract's own error, TooLittleFunds, StuckTransaction, ChainUnreachable.
    """

    def __init__(self, demands: ChunkDemands, transactor: Transactor) -> None:
        self.demands = demands
        self._transactor = transactor

    def demand(self, demanded: Demanded, record: MergeRecord) -> Receipt:
        """Demand a chunk; the fee must be allowed to the contract beforehand."""
        return self._send(f"demand {demanded}", "demand", demanded.solidity(), record_values(record))

    def answer(self, demand: Demand, record: MergeRecord, shown: Opening) -> Receipt:
        arguments = (demand.id, record_values(record), shown.content, shown.siblings)
        return self._send(f"show {demand.demanded}", "answer", *arguments)

    def expire(self, demand: Demand) -> Receipt:
        return self._send(f"end the unanswered demand {demand.id}", "expire", demand.id)

    def _send(self, action: str, name: str, *arguments: Any) -> Receipt:
        return self._transactor.send(action, getattr(self.demands.contract.functions, name)(*arguments))


def about(demands: Sequence[Demand], merged: Merged) -> list[Demand]:
    """Demands about one merge; those before it were about another merge of the round."""
    place = (merged.bounty, merged.round)
    return [one for one in demands if (one.demanded.bounty, one.demanded.round) == place and merged.at.precedes(one.at)]
