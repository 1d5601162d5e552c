"""What a merge binds besides its payouts: why updates were left out, and the record that the chain keeps a hash of.

docs/PROTOCOL.md, section 7. The Solidity twin is `MergeLib`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

from eth_abi.abi import encode

from ledger.cid import Digest
from ledger.keccak import Hash32, keccak
from ledger.records import Address, MergeClaim, Merged, Timestamp, Wei

RECORD_HASH_BYTES = 28
"""As many bytes of a record's hash as the chain keeps: 112 bits against collisions."""

REASON_BYTES = 4
"""What a merge gives for each update that it leaves out."""

_CHUNK_BITS = 24


class Reason(IntEnum):
    """Why an update was left out of a merge; the first byte of a reason on chain."""

    UNAVAILABLE = 1
    MALFORMED = 2
    WRONG_LENGTH = 3
    WRONG_ROOT = 4
    WRONG_NORM = 5
    OUT_OF_RANGE = 6
    COPIED = 7
    STALE = 8
    NEGLIGIBLE = 9
    HARMFUL = 10
    UNMASKABLE = 11

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


JUDGED = (Reason.WRONG_NORM, Reason.OUT_OF_RANGE)
"""Faults that a chunk of what was committed shows."""

SCREENED = (Reason.COPIED, Reason.STALE, Reason.NEGLIGIBLE)
"""What follows from whole updates: anyone can recompute it, but no contract."""


@dataclass(frozen=True)
class GivenReason:
    """A reason as the chain holds it; anyone may have written it.

    code:  a `Reason`, or a number that means nothing.
    chunk: the faulty chunk, where the reason is a judged one; of a copy the reveal index of what was copied, of a
           replay the round that it comes from; else 0.
    """

    code: int
    chunk: int = 0

    @property
    def label(self) -> str:
        return Reason(self.code).label if self.code in Reason.__members__.values() else f"unknown-{self.code}"

    @property
    def is_judged(self) -> bool:
        return self.code in JUDGED


def pack_reasons(reasons: Sequence[GivenReason]) -> bytes:
    """Four bytes a reason: the code, then the chunk as a big-endian uint24."""
    return b"".join(((one.code << _CHUNK_BITS) | one.chunk).to_bytes(REASON_BYTES, "big") for one in reasons)


def unpack_reasons(data: bytes) -> list[GivenReason]:
    """The reasons in order; bytes that are no whole reason are left out."""
    words = [int.from_bytes(data[at : at + REASON_BYTES], "big") for at in range(0, len(data), REASON_BYTES)]
    whole = words[: len(data) // REASON_BYTES]
    return [GivenReason(word >> _CHUNK_BITS, word & (2**_CHUNK_BITS - 1)) for word in whole]


@dataclass(frozen=True)
class MergeRecord:
    """What a record hash binds, in the order of its encoding; see `Types.sol`."""

    merged_at: Timestamp
    state_root: Hash32
    state_cid: Digest
    report_cid: Digest
    payout_leaves: int
    metric: int
    rejected: int
    reasons_hash: Hash32
    scales_hash: Hash32
    distances_hash: Hash32
    clip_cid: Digest


@dataclass(frozen=True)
class KeptMerge:
    """What the chain keeps of a standing merge; see `Merge` in `Types.sol`. Root and hash have 28 bytes."""

    payout_root: bytes
    vests_at: Timestamp
    record_hash: bytes
    reveals: int
    previous: int
    aggregator: Address
    paid: Wei


_RECORD_TYPES = ["uint32", "bytes32", "bytes32", "bytes32", "uint16", "uint32", "uint256", *["bytes32"] * 4]


def record_of(merged: Merged) -> MergeRecord:
    """The record of a merge, from its event."""
    return claim_record(merged.claim, merged.merged_at)


def claim_record(claim: MergeClaim, merged_at: Timestamp) -> MergeRecord:
    """The record that a claim becomes when it is mined at `merged_at`."""
    return MergeRecord(
        merged_at=merged_at,
        state_root=claim.state_root,
        state_cid=claim.state_cid,
        report_cid=claim.report_cid,
        payout_leaves=claim.payout_leaves,
        metric=claim.metric,
        rejected=claim.rejected,
        reasons_hash=keccak(claim.reasons),
        scales_hash=claim.scales_hash,
        distances_hash=claim.distances_hash,
        clip_cid=claim.clip_cid,
    )


def record_hash(record: MergeRecord) -> bytes:
    """What the chain keeps of a record: 28 bytes."""
    values = [getattr(record, field.name) for field in fields(record)]
    return keccak(encode(_RECORD_TYPES, values))[:RECORD_HASH_BYTES]
