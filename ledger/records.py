"""The market's words as Python values: ids, units, terms, events, standings.

Plain frozen records without behaviour beyond what follows from their own fields. They mirror
`contracts/src/Types.sol` and `contracts/src/libraries/EventsLib.sol`, name for name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from ledger.cid import Digest
from ledger.enumerations import MergeRule as MergeRule
from ledger.enumerations import Phase as Phase
from ledger.enumerations import PrivacyMode as PrivacyMode
from ledger.enumerations import RewardRule as RewardRule
from ledger.keccak import Hash32

Address = NewType("Address", str)
"""An EIP-55 checksummed account or contract address."""

BountyId = NewType("BountyId", int)
"""A bounty's number in its market, from 1."""

Wei = NewType("Wei", int)
"""An amount of a bounty's token in its smallest unit."""

Timestamp = NewType("Timestamp", int)
"""Seconds since 1970 by the chain's clock."""


@dataclass(frozen=True)
class Terms:
    """What a bounty's owner fixed when posting; see `Types.sol` for each field's meaning and unit."""

    token: Address
    pot: Wei
    aggregator: Address
    bond: Wei
    stake: Wei
    squared_norm_bound: int
    rounds: int
    min_updates: int
    max_updates: int
    merge_rule: MergeRule
    reward_rule: RewardRule
    max_weight: int
    privacy: PrivacyMode
    forfeit: Wei
    commit_seconds: int
    reveal_seconds: int
    merge_seconds: int
    open_merge_seconds: int
    challenge_seconds: int
    patience: int
    chunks: int
    demand_fee: Wei
    answer_seconds: int
    target: int
    manifest: Digest
    state_root: Hash32
    merge_parameters: bytes


@dataclass(frozen=True)
class Clock:
    """Where a bounty stands at one block. `ends_at` is 0 where time does not end the phase."""

    phase: Phase
    round: int
    started_at: Timestamp
    ends_at: Timestamp
    members: int
    member_count: int
    commits: int
    reveals: int


@dataclass(frozen=True)
class Provider:
    """A provider's standing in a bounty. `stake` 0: not a member; `unlocks_at` 0: not leaving."""

    stake: Wei
    claimed: Wei
    index: int
    commit_round: int
    unlocks_at: Timestamp


@dataclass(frozen=True)
class Money:
    """A bounty's two purses, apart from stakes and bonds.

    owed: what providers were allocated and have not taken yet.
    free: what nobody was allocated; the owner's in the end.
    """

    owed: Wei
    free: Wei

    @property
    def escrow(self) -> Wei:
        return Wei(self.owed + self.free)


@dataclass(frozen=True)
class MergeClaim:
    """What an aggregator posts for a round; see `Types.sol`, and `ledger.merge_records` for the reasons."""

    state_root: Hash32
    state_cid: Digest
    report_cid: Digest
    payout_root: Hash32
    paid: Wei
    payout_leaves: int
    metric: int
    rejected: int
    reasons: bytes
    scales_hash: Hash32
    distances_hash: Hash32
    clip_cid: Digest


@dataclass(frozen=True)
class Position:
    """Where in the chain an event stands; sorts in the order of execution."""

    block: int
    log_index: int
    transaction: str

    def precedes(self, other: Position) -> bool:
        return (self.block, self.log_index) < (other.block, other.log_index)


@dataclass(frozen=True)
class Event:
    """Something that the market recorded about a bounty."""

    at: Position
    bounty: BountyId


@dataclass(frozen=True)
class Posted(Event):
    owner: Address
    terms: Terms


@dataclass(frozen=True)
class Cancelled(Event):
    refunded: Wei


@dataclass(frozen=True)
class Joined(Event):
    provider: Address
    index: int
    stake: Wei
    encryption_key: bytes
    multiaddr: str


@dataclass(frozen=True)
class Left(Event):
    provider: Address
    unlocks_at: Timestamp


@dataclass(frozen=True)
class StakeWithdrawn(Event):
    provider: Address
    amount: Wei


@dataclass(frozen=True)
class StakeForfeited(Event):
    provider: Address
    round: int
    amount: Wei


@dataclass(frozen=True)
class RoundOpened(Event):
    round: int
    opened_at: Timestamp


@dataclass(frozen=True)
class Committed(Event):
    round: int
    provider: Address
    commitment: Hash32


@dataclass(frozen=True)
class Revealed(Event):
    round: int
    provider: Address
    index: int
    cid: Digest
    update_root: Hash32
    squared_norm: int
    weight: int


@dataclass(frozen=True)
class BondDeposited(Event):
    account: Address
    amount: Wei


@dataclass(frozen=True)
class BondWithdrawn(Event):
    account: Address
    amount: Wei


@dataclass(frozen=True)
class BondForfeited(Event):
    account: Address
    round: int
    amount: Wei


@dataclass(frozen=True)
class Merged(Event):
    """previous: the round whose merge it builds on, 0 for the initial state; record_hash: 28 bytes."""

    round: int
    aggregator: Address
    claim: MergeClaim
    reveals: int
    previous: int
    merged_at: Timestamp
    vests_at: Timestamp
    record_hash: bytes


@dataclass(frozen=True)
class MergeVoided(Event):
    """The merge of `round`, every later one and the round `interrupted` are void."""

    round: int
    aggregator: Address
    prover: Address
    interrupted: int
    bond: Wei
    reward: Wei


@dataclass(frozen=True)
class UpdateDisqualified(Event):
    round: int
    provider: Address
    update_root: Hash32
    prover: Address
    stake: Wei
    reward: Wei


@dataclass(frozen=True)
class VestingExtended(Event):
    round: int
    until: Timestamp


@dataclass(frozen=True)
class Lapsed(Event):
    round: int
    reveals: int
    share: Wei


@dataclass(frozen=True)
class Ended(Event):
    ended_at: Timestamp


@dataclass(frozen=True)
class Claimed(Event):
    provider: Address
    amount: Wei


@dataclass(frozen=True)
class LapsedClaimed(Event):
    round: int
    provider: Address
    update_root: Hash32
    amount: Wei


@dataclass(frozen=True)
class ShareReleased(Event):
    """The share of a vested round went to the contract that divides it by contribution."""

    round: int
    amount: Wei


@dataclass(frozen=True)
class Refunded(Event):
    owner: Address
    amount: Wei
