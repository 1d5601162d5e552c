"""What a receipt says: every figure recomputed from the chain's events, beside what the chain records. Plain values.

Units: amounts in the token's smallest unit; times in seconds since 1970 by the chain's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ledger.cid import to_cid
from ledger.merge_records import GivenReason
from ledger.records import Address, BountyId, Revealed, RewardRule, Timestamp, Wei


class Outcome(StrEnum):
    """What became of a provider's part in a round."""

    ABSENT = "no update"
    COMMITTED = "committed, to be revealed"
    WAITING = "revealed, waits for the merge"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNREVEALED = "never revealed"
    INTERRUPTED = "interrupted"
    EXPIRED = "bounty expired"
    LAPSED = "lapsed"
    UNSETTLED = "lapsed, not written down yet"
    DISQUALIFIED = "disqualified"


@dataclass(frozen=True)
class Division:
    """`pool * weight // total`, as it was divided for one update.

    total:     the weights of all accepted updates, of a lapsed round its updates; the quorum where that is more.
    bond:      the part of the pool that was a silent aggregator's bond.
    """

    pool: Wei
    weight: int
    total: int
    updates: int
    bond: Wei = Wei(0)  # noqa: RUF009

    @property
    def amount(self) -> Wei:
        """Rounding: down."""
        return Wei(self.pool * self.weight // self.total)

    @property
    def remainder(self) -> int:
        """What the floor cut off, in parts of `total`."""
        return self.pool * self.weight % self.total

    def as_json(self) -> dict[str, Any]:
        return {
            "pool": str(self.pool),
            "bond_in_pool": str(self.bond),
            "weight": self.weight,
            "total_weight": self.total,
            "updates": self.updates,
            "amount": str(self.amount),
            "remainder": str(self.remainder),
        }


@dataclass(frozen=True)
class Check:
    """Something recomputed here, beside what the chain says; both as text."""

    what: str
    recomputed: str
    recorded: str

    @property
    def matches(self) -> bool:
        return self.recomputed == self.recorded

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "recomputed": self.recomputed,
            "recorded": self.recorded,
            "matches": self.matches,
        }


class Verdict(StrEnum):
    """What recomputing says of a rejection."""

    HOLDS = "holds"
    WRONG = "does not hold"
    OPEN = "can't be told"


@dataclass(frozen=True)
class Judgement:
    """Whether the reason of a rejection holds, and what was found."""

    verdict: Verdict
    found: str

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict.value, "found": self.found}


@dataclass(frozen=True)
class Published:
    """What files say about a round; a stranger wrote the report.

    detail:    the merger's words about the rejection; empty if it gives none.
    missing:   why the report can't be had or used; empty if it can.
    judgement: of the rejection, from the update's own file.
    leaf:      the provider's amount in the recorded payout tree, where the recomputed tree is another.
    """

    detail: str = ""
    missing: str = ""
    judgement: Judgement | None = None
    leaf: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "reported_by_the_merger": self.detail,
            "report_missing": self.missing,
            "judgement": self.judgement.as_json() if self.judgement else None,
            "recorded_leaf": None if self.leaf is None else str(self.leaf),
        }


@dataclass(frozen=True)
class RoundReceipt:
    """A provider's account of one round.

    stake:      what it had locked when it committed; None if it did not commit.
    division:   how its pay came about; None where its update was not paid.
    reason:     why its update was left out, by the merge's record.
    cumulative: its pay over all merges that stand, up to this round; None while the round has no merge that stands.
    vests_at:   from when this round's pay can be claimed; 0 where nothing vests.
    taken:      of a lapsed round's share.
    forfeited, seized: of the stake, for a commitment that was not opened, and by a proof.
    voided:     merges of the round that were proven wrong.
    note:       why the merge keeps less than its rule promises; empty where it does.
    """

    round: int
    state: str
    outcome: Outcome
    stake: Wei | None = None
    revealed: Revealed | None = None
    division: Division | None = None
    reason: GivenReason | None = None
    cumulative: Wei | None = None
    vests_at: Timestamp = Timestamp(0)  # noqa: RUF009
    taken: Wei = Wei(0)  # noqa: RUF009
    forfeited: Wei = Wei(0)  # noqa: RUF009
    seized: Wei = Wei(0)  # noqa: RUF009
    voided: int = 0
    note: str = ""
    checks: tuple[Check, ...] = ()
    published: Published = field(default_factory=Published)

    @property
    def amount(self) -> Wei:
        return self.division.amount if self.division else Wei(0)

    def as_json(self) -> dict[str, Any]:
        mine = self.revealed
        return {
            "round": self.round,
            "state": self.state,
            "outcome": self.outcome.value,
            "amount": str(self.amount),
            "division": self.division.as_json() if self.division else None,
            "stake_at_commit": None if self.stake is None else str(self.stake),
            "update": None
            if mine is None
            else {
                "index": mine.index,
                "cid": to_cid(mine.cid),
                "root": "0x" + mine.update_root.hex(),
                "squared_norm": str(mine.squared_norm),
                "weight": mine.weight,
            },
            "reason": None
            if self.reason is None
            else {"code": self.reason.code, "name": self.reason.label, "number": self.reason.chunk},
            **self.published.as_json(),
            "cumulative": None if self.cumulative is None else str(self.cumulative),
            "vests_at": self.vests_at,
            "taken_from_lapse": str(self.taken),
            "forfeited": str(self.forfeited),
            "seized_by_proof": str(self.seized),
            "voided_merges": self.voided,
            "note": self.note,
            "checks": [check.as_json() for check in self.checks],
        }


@dataclass(frozen=True)
class StakeReceipt:
    """free_at: from when the stake can be withdrawn; None: leave first, or wait for the end."""

    locked: Wei
    forfeited: Wei
    seized: Wei
    returned: Wei
    free_at: Timestamp | None
    forfeit_due: bool
    has_left: bool

    def as_json(self) -> dict[str, Any]:
        amounts = {name: str(getattr(self, name)) for name in ("locked", "forfeited", "seized", "returned")}
        return {**amounts, "free_at": self.free_at, "forfeit_due": self.forfeit_due, "has_left": self.has_left}


@dataclass(frozen=True)
class Receipt:
    """A provider's account of one bounty at one block.

    earned:           by all merges that stand; vested: the part of it that can be claimed by now.
    unvested:         what vests when, by time.
    claimed:          from payout trees; claimed_lapsed: from rounds without a merge.
    claimable, claimable_lapsed: what a claim would pay now.
    checks:           of the whole account; each round has its own.
    steps:            what to do now, each with its command.
    """

    bounty: BountyId
    provider: Address
    seat: int
    now: Timestamp
    rule: RewardRule
    rounds: tuple[RoundReceipt, ...]
    earned: Wei
    vested: Wei
    unvested: tuple[tuple[Timestamp, Wei], ...]
    claimed: Wei
    claimed_lapsed: Wei
    claimable: Wei
    claimable_lapsed: Wei
    stake: StakeReceipt
    checks: tuple[Check, ...]
    steps: tuple[tuple[str, str], ...]

    @property
    def differences(self) -> list[Check]:
        every = [*self.checks, *(check for one in self.rounds for check in one.checks)]
        return [check for check in every if not check.matches]

    @property
    def wrongly_rejected(self) -> list[int]:
        """Rounds whose reason for leaving out the update does not hold."""
        judged = [(one.round, one.published.judgement) for one in self.rounds]
        return [number for number, judgement in judged if judgement and judgement.verdict == Verdict.WRONG]

    def as_json(self) -> dict[str, Any]:
        amounts = ("earned", "vested", "claimed", "claimed_lapsed", "claimable", "claimable_lapsed")
        return {
            "kind": "receipt",
            "bounty": self.bounty,
            "provider": self.provider,
            "seat": self.seat,
            "now": self.now,
            "reward_rule": self.rule.name.lower(),
            **{name: str(getattr(self, name)) for name in amounts},
            "unvested": [{"vests_at": moment, "amount": str(amount)} for moment, amount in self.unvested],
            "stake": self.stake.as_json(),
            "rounds": [one.as_json() for one in self.rounds],
            "checks": [check.as_json() for check in self.checks],
            "matches": not self.differences,
            "wrongly_rejected_in": self.wrongly_rejected,
            "next": [{"what": what, "command": command} for what, command in self.steps],
        }
