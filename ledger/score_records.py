"""The words of the contract that divides by contribution as Python values, and what an evaluator commits to. Pure.

They mirror `contracts/src/interfaces/IContributionScores.sol`, name for name; docs/PROTOCOL.md, section 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from eth_abi.abi import encode
from eth_utils.address import to_canonical_address

from ledger.cid import Digest
from ledger.keccak import Hash32, keccak
from ledger.records import Address, BountyId, Event, Timestamp, Wei

Part = NewType("Part", int)
"""An update's part of a round's pay, in units of 2^-32; 0 .. 2^32 - 1."""

WHOLE = 2**32
"""All parts of a report add up to less than this."""

PART_BITS = 32
PARTS_IN_A_WORD = 256 // PART_BITS
BASIS = 10_000
"""Fee shares and tolerances are in 1/10,000."""

FEWEST_EVALUATORS, MOST_EVALUATORS = 3, 15
COMMITMENT_BYTES = 31
"""What the contract keeps of a commitment's 32, and of a report's hash."""

_SALT_LABEL = b"fedbounty/score-salt/1"


class ScorePhase(IntEnum):
    """Where the scoring of a round stands; numbered as on chain."""

    NONE = 0
    WAITING = 1
    COMMIT = 2
    REVEAL = 3
    DUE = 4
    SETTLED = 5


class ScoreState(IntEnum):
    """How far an evaluator is with its report on a round."""

    NONE = 0
    COMMITTED = 1
    REVEALED = 2


@dataclass(frozen=True)
class Panel:
    """Who measures, under which rules; see `IContributionScores.sol` for each field's meaning and unit."""

    bond: Wei
    forfeit: Wei
    commit_seconds: int
    reveal_seconds: int
    quorum: int
    fee_share: int
    tolerance: int
    validation: Digest
    evaluators: tuple[Address, ...]

    @property
    def farthest(self) -> int:
        """How far from the medians a report still earns its fee, in units of 2^-32. Rounding: down."""
        return self.tolerance * WHOLE // BASIS


@dataclass(frozen=True)
class Evaluator:
    """An evaluator's standing in one bounty. place: in the panel, from 1; 0 for no evaluator."""

    bond: Wei
    earned: Wei
    open: int
    place: int


@dataclass(frozen=True)
class ScoreClock:
    """Where the scoring of a round stands at one block. `ends_at` is 0 where time does not end the phase."""

    phase: ScorePhase
    ends_at: Timestamp
    commits: int
    reveals: int


@dataclass(frozen=True)
class ScoreReport:
    """A report as the contract keeps it. content: its commitment, from the opening on its hash; 31 bytes."""

    state: ScoreState
    content: bytes


# --- events ---


@dataclass(frozen=True)
class ScoreEvent(Event):
    """Something that the contract which divides by contribution recorded about a bounty."""


@dataclass(frozen=True)
class PanelAppointed(ScoreEvent):
    panel: Panel


@dataclass(frozen=True)
class EvaluatorBonded(ScoreEvent):
    evaluator: Address
    amount: Wei


@dataclass(frozen=True)
class EvaluatorBondWithdrawn(ScoreEvent):
    evaluator: Address
    amount: Wei


@dataclass(frozen=True)
class ScoresCommitted(ScoreEvent):
    round: int
    evaluator: Address
    commitment: bytes


@dataclass(frozen=True)
class ScoresRevealed(ScoreEvent):
    """report: packed parts, 8 a word."""

    round: int
    evaluator: Address
    report: tuple[int, ...]
    salt: bytes


@dataclass(frozen=True)
class EvaluatorSettled(ScoreEvent):
    """What a round brought or cost an evaluator that had committed. `RoundScored` follows."""

    round: int
    evaluator: Address
    fee: Wei
    forfeited: Wei


@dataclass(frozen=True)
class RoundScored(ScoreEvent):
    """A round was divided: `pot` among the updates by `weights`, of which the floors leave `rest` to the owner."""

    round: int
    by_median: bool
    released: Wei
    pot: Wei
    rest: Wei
    weights: tuple[int, ...]


@dataclass(frozen=True)
class ScoreClaimed(ScoreEvent):
    round: int
    provider: Address
    update_root: Hash32
    amount: Wei


@dataclass(frozen=True)
class FeesCollected(ScoreEvent):
    evaluator: Address
    amount: Wei


@dataclass(frozen=True)
class RestReturned(ScoreEvent):
    owner: Address
    amount: Wei


# --- reports ---


def pack(parts: Sequence[int]) -> tuple[int, ...]:
    """A report's words: 8 parts each, the first in the highest bits, zeros after the last."""
    padded = [*parts, *[0] * (-len(parts) % PARTS_IN_A_WORD)]
    if any(not 0 <= part < WHOLE for part in padded):
        raise ValueError(f"a part is 0 .. {WHOLE - 1}, not {min(parts)} .. {max(parts)}")
    return tuple(
        int.from_bytes(b"".join(part.to_bytes(4, "big") for part in padded[start : start + PARTS_IN_A_WORD]), "big")
        for start in range(0, len(padded), PARTS_IN_A_WORD)
    )


def unpack(words: Sequence[int], updates: int) -> tuple[Part, ...]:
    """The parts that a report's words hold.

    Raises: ValueError for another number of words, or something beyond the last part.
    """
    contents = b"".join(word.to_bytes(32, "big") for word in words)
    used = 4 * updates
    if len(contents) != 32 * -(-updates // PARTS_IN_A_WORD) or any(contents[used:]):
        raise ValueError(f"{len(words)} words are no report on {updates} updates")
    return tuple(Part(int.from_bytes(contents[start : start + 4], "big")) for start in range(0, used, 4))


def report_hash(words: Sequence[int]) -> Hash32:
    """What a commitment binds of a report."""
    return keccak(b"".join(word.to_bytes(32, "big") for word in words))


@dataclass(frozen=True)
class ScoreScope:
    """Whose report on what: all that a commitment names besides report and salt."""

    chain_id: int
    contract: Address
    bounty: BountyId
    round: int
    evaluator: Address


def score_commitment(scope: ScoreScope, words: Sequence[int], salt: bytes) -> bytes:
    """What is recorded before the reveal: the first 31 bytes of a hash over report and 32-byte salt."""
    types = ["uint256", "address", "uint256", "uint256", "address", "bytes32", "bytes32"]
    where = [scope.chain_id, scope.contract, scope.bounty, scope.round, scope.evaluator]
    return keccak(encode(types, [*where, report_hash(words), salt]))[:COMMITMENT_BYTES]


def score_salt_message(scope: ScoreScope, words: Sequence[int]) -> bytes:
    """The text whose HMAC under the evaluator's key is the commitment's salt."""
    numbers = scope.chain_id.to_bytes(32, "big") + to_canonical_address(scope.contract)
    place = scope.bounty.to_bytes(32, "big") + scope.round.to_bytes(32, "big")
    return _SALT_LABEL + numbers + place + report_hash(words)
