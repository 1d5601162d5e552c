"""The evaluation market's words as Python values, and what a reporter commits to. Pure.

They mirror `contracts/src/interfaces/IEvaluationMarket.sol`, name for name; docs/PROTOCOL.md, section 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import NewType

from eth_abi.abi import encode
from eth_utils.address import to_canonical_address

from ledger.cid import Digest
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.records import Address, Position, Timestamp, Wei
from ledger.trees import ChunkTree, Tag, leaf_hash

EvaluationId = NewType("EvaluationId", int)
"""An evaluation's number in its market, from 1."""

Units = NewType("Units", int)
"""A report's value on the evaluation's grid: in units of 10^-decimals."""

MOST_DECIMALS = 9
COMMITMENT_BYTES = 31
"""What the contract keeps of a commitment's 32."""

_SALT_LABEL = b"fedbounty/evaluation-salt/1"


class Metric(IntEnum):
    """What is measured, as a mean over examples; numbered as on chain."""

    ACCURACY = 0
    MEAN_SQUARED_ERROR = 1
    MEAN_ABSOLUTE_ERROR = 2
    CROSS_ENTROPY = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


class EvaluationPhase(IntEnum):
    NONE = 0
    COMMIT = 1
    REVEAL = 2
    ENDED = 3
    CANCELLED = 4


class ReportState(IntEnum):
    """How far an account is with its report."""

    NONE = 0
    COMMITTED = 1
    REVEALED = 2
    PAID = 3


@dataclass(frozen=True)
class EvaluationTerms:
    """What an evaluation's owner fixed when posting; see `IEvaluationMarket.sol` for each field's meaning and unit."""

    token: Address
    payment: Wei
    stake: Wei
    min_reports: int
    max_reports: int
    commit_seconds: int
    reveal_seconds: int
    metric: Metric
    decimals: int
    low: Units
    high: Units
    noise: int
    manifest: Digest
    state_root: Hash32
    state_cid: Digest
    list_root: Hash32
    list_cid: Digest

    @property
    def escrow(self) -> Wei:
        """What the owner puts in: a payment for each place."""
        return Wei(self.payment * self.max_reports)

    @property
    def is_open(self) -> bool:
        """Whether everyone may report."""
        return self.list_root == ZERO_HASH

    def number(self, value: Units | int) -> Decimal:
        """A value on the grid as the number that it stands for."""
        return Decimal(value).scaleb(-self.decimals)


@dataclass(frozen=True)
class EvaluationClock:
    """Where an evaluation stands at one block. `ends_at` is 0 after the end."""

    phase: EvaluationPhase
    ends_at: Timestamp
    commits: int
    reports: int
    claims: int


@dataclass(frozen=True)
class EvaluationMoney:
    """What the contract holds of an evaluation.

    owed:   payments and stakes of revealed reports that were not claimed.
    free:   payments that no report has earned; the owner's in the end.
    locked: stakes of commitments that are not open.
    """

    owed: Wei
    free: Wei
    locked: Wei


@dataclass(frozen=True)
class Report:
    """An account's report as the contract keeps it. `commitment` until it is opened, `value` from then on."""

    state: ReportState
    commitment: bytes
    value: Units


# --- events ---


@dataclass(frozen=True)
class EvaluationEvent:
    """Something that the contract recorded about an evaluation."""

    at: Position
    evaluation: EvaluationId


@dataclass(frozen=True)
class EvaluationPosted(EvaluationEvent):
    owner: Address
    terms: EvaluationTerms
    posted_at: Timestamp


@dataclass(frozen=True)
class EvaluationCancelled(EvaluationEvent):
    refunded: Wei


@dataclass(frozen=True)
class ReportCommitted(EvaluationEvent):
    account: Address
    commitment: bytes


@dataclass(frozen=True)
class ReportRevealed(EvaluationEvent):
    account: Address
    value: Units
    salt: bytes


@dataclass(frozen=True)
class ReportPaid(EvaluationEvent):
    """amount: the payment and the stake."""

    account: Address
    amount: Wei


@dataclass(frozen=True)
class EvaluationRefunded(EvaluationEvent):
    """forfeited: the part of it that was stakes of unopened commitments."""

    owner: Address
    refunded: Wei
    forfeited: Wei


# --- commitments ---


@dataclass(frozen=True)
class ReportScope:
    """Whose report to what: all that a commitment names besides value and salt."""

    chain_id: int
    market: Address
    evaluation: EvaluationId
    account: Address


def report_commitment(scope: ReportScope, value: Units, salt: bytes) -> bytes:
    """What is recorded before the reveal: the first 31 bytes of a hash over value and 32-byte salt."""
    types = ["uint256", "address", "uint256", "address", "int64", "bytes32"]
    numbers = [scope.chain_id, scope.market, scope.evaluation, scope.account, value, salt]
    return keccak(encode(types, numbers))[:COMMITMENT_BYTES]


def report_salt_message(scope: ReportScope, value: Units) -> bytes:
    """The text whose HMAC under the reporter's key is the commitment's salt.

    It holds the value, so that no two values of one reporter are ever hidden by one salt.
    """
    numbers = scope.chain_id.to_bytes(32, "big") + to_canonical_address(scope.market)
    return _SALT_LABEL + numbers + scope.evaluation.to_bytes(32, "big") + value.to_bytes(8, "big", signed=True)


def list_tree(accounts: Sequence[Address]) -> ChunkTree:
    """Commit to the accounts that may report, in the list's order.

    Raises: EmptyTree for no accounts.
    """
    return ChunkTree([leaf_hash(Tag.LISTED, place, to_canonical_address(one)) for place, one in enumerate(accounts)])
