"""The contract that judges merges, typed: what a proof consists of, and one call a proof.

docs/PROTOCOL.md, section 10. The Solidity twins are `IFraudProofs` and `OpeningLib`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ledger.artifacts import artifact
from ledger.chain import Block, Chain
from ledger.cid import Digest
from ledger.decoding import Abi, camel
from ledger.keccak import ZERO_HASH, Hash32
from ledger.merge_records import MergeRecord
from ledger.records import Address, BountyId, Timestamp, Wei
from ledger.transactions import Receipt, Transactor
from ledger.trees import NODE_BYTES, SUM_BYTES

NO_RECORD = MergeRecord(
    merged_at=Timestamp(0),
    state_root=ZERO_HASH,
    state_cid=Digest(ZERO_HASH),
    report_cid=Digest(ZERO_HASH),
    payout_leaves=0,
    metric=0,
    rejected=0,
    reasons_hash=ZERO_HASH,
    scales_hash=ZERO_HASH,
    distances_hash=ZERO_HASH,
    clip_cid=Digest(ZERO_HASH),
)
"""Stands for the record before the first merge."""


@dataclass(frozen=True)
class Disputed:
    """The merge that a proof is about. previous: the record that it builds on, `NO_RECORD` for the initial state."""

    bounty: BountyId
    round: int
    record: MergeRecord
    previous: MergeRecord = NO_RECORD

    def solidity(self) -> dict[str, Any]:
        return {
            "bounty": self.bounty,
            "round": self.round,
            "record": record_values(self.record),
            "previous": record_values(self.previous),
        }


@dataclass(frozen=True)
class Opening:
    """A chunk and the siblings on its way to the root, in one string, from the leaf up."""

    content: bytes
    siblings: bytes

    @property
    def nodes(self) -> list[bytes]:
        """The siblings one by one."""
        return [self.siblings[at : at + NODE_BYTES] for at in range(0, len(self.siblings), NODE_BYTES)]

    def solidity(self) -> dict[str, bytes]:
        return {"content": self.content, "siblings": self.siblings}


@dataclass(frozen=True)
class OpenedUpdate:
    """One update's chunk with the sum of squares that its tree commits to."""

    opening: Opening
    sum: int

    def packed(self) -> bytes:
        return self.opening.content + self.sum.to_bytes(SUM_BYTES, "big") + self.opening.siblings


@dataclass(frozen=True)
class OpenedPayout:
    """One payout leaf, and the same member's leaf in the tree before: 0 and no siblings where it has none."""

    seat: int
    account: Address
    cumulative: Wei
    siblings: bytes
    previous_cumulative: Wei
    previous_siblings: bytes

    def solidity(self) -> dict[str, Any]:
        return {camel(field.name): getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Clip:
    """What a clipping merge commits to, whole: 3 bytes a scale, 32 bytes a distance tree's root."""

    scales: bytes = b""
    distances: bytes = b""


def joined(nodes: Sequence[bytes]) -> bytes:
    """Siblings as a contract reads them."""
    return b"".join(nodes)


def pack_updates(updates: Sequence[OpenedUpdate]) -> bytes:
    """The chunks of all accepted updates as a proof carries them, in the order given."""
    return b"".join(update.packed() for update in updates)


def record_values(record: MergeRecord) -> dict[str, Any]:
    """A record by its Solidity names."""
    return {camel(field.name): getattr(record, field.name) for field in fields(record)}


def judge_abi(name: str) -> Abi:
    """A proof contract's ABI, with the errors of the market behind it: its refusals come through."""
    own: list[Any] = list(artifact(name)["abi"])
    return [*own, *(item for item in artifact("TrainingMarket")["abi"] if item["type"] == "error")]


class FraudProofs:
    """Reads of the contract that judges merges.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain, self.address = chain, address
        self.contract = chain.contract(address, judge_abi("FraudProofs"))

    def seed(self, bounty: BountyId, round_number: int, at: Block | None = None) -> Hash32 | None:
        """What orders a round's buckets; None before it was drawn."""
        found = Hash32(self.chain.call(self.contract.functions.seedOf(bounty, round_number), at))
        return None if found == ZERO_HASH else found

    def masks(self) -> Address:
        """The contract that judges merges of masked updates."""
        return Address(self.chain.call(self.contract.functions.masks()))


class ProofWriter:
    """One account's proofs. Each is tried before it is sent: one that shows no fault costs nothing.

    Raises: Reverted with the contract's own error (`NoFault` above all), TooLittleFunds, StuckTransaction,
    ChainUnreachable.
    """

    def __init__(self, proofs: FraudProofs, transactor: Transactor) -> None:
        self.proofs = proofs
        self._transactor = transactor

    def draw(self, bounty: BountyId, round_number: int) -> Receipt:
        action = f"draw the seed of round {round_number} of bounty {bounty}"
        return self._send(action, "draw", bounty, round_number)

    def prove_coordinate(
        self,
        disputed: Disputed,
        place: tuple[int, int],
        states: tuple[Opening, Opening],
        updates: Sequence[OpenedUpdate],
        scales: bytes,
    ) -> Receipt:
        """place: chunk, and coordinate within it. states: the chunk before the merge and after it."""
        before, after = (state.solidity() for state in states)
        arguments = (*place, before, after, pack_updates(updates), scales)
        return self._prove("state", "proveCoordinate", disputed, *arguments)

    def prove_leaf(self, bounty: BountyId, round_number: int, chunk: int, leaf: OpenedUpdate) -> Receipt:
        action = f"prove an update of round {round_number} of bounty {bounty} faulty"
        return self._send(action, "proveLeaf", bounty, round_number, chunk, leaf.sum, leaf.opening.solidity())

    def prove_acceptance(self, disputed: Disputed, update_root: Hash32) -> Receipt:
        return self._prove("acceptance", "proveAcceptance", disputed, update_root)

    def prove_rejection(
        self, disputed: Disputed, reasons: bytes, update_root: Hash32, leaf: OpenedUpdate | None
    ) -> Receipt:
        """leaf: None where the reason itself does not exist."""
        shown = leaf or OpenedUpdate(Opening(b"", b""), 0)
        arguments = (reasons, update_root, shown.sum, shown.opening.solidity())
        return self._prove("rejection", "proveRejection", disputed, *arguments)

    def prove_payout(self, disputed: Disputed, payout: OpenedPayout, update_roots: Sequence[Hash32]) -> Receipt:
        return self._prove("payouts", "provePayout", disputed, payout.solidity(), list(update_roots))

    def prove_paid(self, disputed: Disputed, update_roots: Sequence[Hash32], leafless: Address) -> Receipt:
        """leafless: a provider that earned and has no leaf; anyone where it is about something else."""
        return self._prove("pay", "provePaid", disputed, list(update_roots), leafless)

    def prove_scale(self, disputed: Disputed, pair: int, clip: Clip) -> Receipt:
        return self._prove("clipping scale", "proveScale", disputed, pair, clip.scales, clip.distances)

    def prove_distance(
        self,
        disputed: Disputed,
        place: tuple[int, int],
        clip: Clip,
        opened: tuple[Opening, Opening],
        updates: Sequence[OpenedUpdate],
    ) -> Receipt:
        """place: pair, and chunk. opened: the leaf of the distance tree, and the chunk of the state before."""
        distance, before = (one.solidity() for one in opened)
        arguments = (*place, clip.distances, distance, before, pack_updates(updates), clip.scales)
        return self._prove("distance", "proveDistance", disputed, *arguments)

    def prove_undrawn(self, disputed: Disputed) -> Receipt:
        return self._prove("bucket order", "proveUndrawn", disputed)

    def _prove(self, what: str, name: str, disputed: Disputed, *arguments: Any) -> Receipt:
        action = f"prove the {what} of round {disputed.round} of bounty {disputed.bounty} wrong"
        return self._send(action, name, disputed.solidity(), *arguments)

    def _send(self, action: str, name: str, *arguments: Any) -> Receipt:
        return self._transactor.send(action, getattr(self.proofs.contract.functions, name)(*arguments))
