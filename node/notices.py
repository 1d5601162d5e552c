"""What the daemons tell of their work, beside `ledger.notices`: to metrics, curves and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.evaluation_records import EvaluationClock, EvaluationId
from ledger.notices import Notice
from ledger.records import BountyId, Clock, Timestamp, Wei

_NOTHING = Wei(0)


@dataclass(frozen=True)
class BountySeen(Notice):
    """A bounty as a daemon saw it at one block, with what the daemon's own account has in it.

    now:       the block's time.
    rounds:    that the bounty has in all.
    claimable: pay that has vested and was not taken; claimed: pay that was. Both without shares of lapsed rounds.
    """

    bounty: BountyId
    now: Timestamp
    clock: Clock
    rounds: int
    stake: Wei = _NOTHING
    bond: Wei = _NOTHING
    claimable: Wei = _NOTHING
    claimed: Wei = _NOTHING


@dataclass(frozen=True)
class EvaluationSeen(Notice):
    """An evaluation as an evaluator saw it at one block. now: the block's time."""

    evaluation: EvaluationId
    now: Timestamp
    clock: EvaluationClock


@dataclass(frozen=True)
class MirrorSynced(Notice):
    """The mirror was brought up to date. block: its last; removed: blocks that a reorganisation took out."""

    block: int
    logs: int
    removed: int


@dataclass(frozen=True)
class BountyLeft(Notice):
    """A bounty is not followed any more."""

    bounty: BountyId


@dataclass(frozen=True)
class BalanceSeen(Notice):
    """What the daemon's account holds. asset: `ether`, or `token` for the bounty's."""

    asset: str
    amount: Wei


@dataclass(frozen=True)
class Looked(Notice):
    """The loop observed and decided. at: wall-clock time, seconds since 1970."""

    seconds: float
    at: float


@dataclass(frozen=True)
class Acted(Notice):
    """The loop performed an effect. action: the name of its class."""

    action: str
    seconds: float


@dataclass(frozen=True)
class Stumbled(Notice):
    """The loop met an error and goes on. error: the name of its class; wait_seconds: until it looks again."""

    error: str
    wait_seconds: float


@dataclass(frozen=True)
class EpochTrained(Notice):
    """Local training went once over the examples. fraction: of the round's training that is done, 0 .. 1."""

    bounty: BountyId
    round: int
    epoch: int
    fraction: float
    loss: float


@dataclass(frozen=True)
class UpdateMade(Notice):
    """Local training of a round is over. loss: the last epoch's mean; norm: the update's before it was clipped."""

    bounty: BountyId
    round: int
    loss: float
    norm: float
    examples: int
    seconds: float


@dataclass(frozen=True)
class UpdatesVerified(Notice):
    """A round's updates were fetched and checked. rejected: how many for which reason."""

    bounty: BountyId
    round: int
    accepted: int
    rejected: Mapping[str, int]
    seconds: float


@dataclass(frozen=True)
class MergeMade(Notice):
    """A round was merged and the merge recorded. seconds: from the first fetch to the published state."""

    bounty: BountyId
    round: int
    seconds: float


@dataclass(frozen=True)
class MergeChecked(Notice):
    """Somebody's merge was recomputed. verdict: `right`, `wrong`, `withheld` or `unchecked`."""

    bounty: BountyId
    round: int
    verdict: str
    seconds: float


@dataclass(frozen=True)
class StateScored(Notice):
    """The global model after a round was measured on the published hold-out; round 0: as it was posted."""

    bounty: BountyId
    round: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class RewardTaken(Notice):
    """A proof or an unanswered demand brought in a part of somebody's deposit."""

    bounty: BountyId
    amount: Wei
