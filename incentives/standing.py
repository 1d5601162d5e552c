"""What a bounty's events add up to: who has locked what, how far the round is, what the purses hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ledger.keccak import Hash32
from ledger.records import Address, Event, Posted, Terms, Timestamp, Wei


class Status(StrEnum):
    """What only a transaction can change; see `Types.sol`."""

    JOINING = "joining"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class SettlementFault:
    """Something in an event that the protocol does not allow there.

    event:    where; its position is `event.at`.
    what:     which rule; claimed, expected: what the event says and what the rule gives.
    """

    event: Event
    what: str
    claimed: int | str
    expected: int | str


@dataclass
class Seat:
    """A provider that joined at least once.

    index:       its leaf in payout trees.
    stake:       what it has locked; 0: not a member.
    leaving:     its membership ended and the stake waits to be withdrawn.
    commit_round, open: the round of its latest commitment, and whether that still waits to be opened.
    weight:      of the committed update.
    """

    index: int
    stake: int = 0
    leaving: bool = False
    commit_round: int = 0
    open: bool = False
    weight: int = 0

    @property
    def active(self) -> bool:
        return self.stake > 0 and not self.leaving


@dataclass
class RoundStanding:
    """The present round; number 0 before the first.

    reveals:     providers by update root.
    silent_bond: what the silent aggregator lost, until the round's lapse.
    merged_at:   when it was merged; None if it was not.
    """

    number: int
    opened_at: Timestamp
    commits: int = 0
    reveals: dict[Hash32, Address] = field(default_factory=dict)
    silent_bond: Wei | None = None
    merged_at: Timestamp | None = None


@dataclass(frozen=True)
class MergeStanding:
    """A merge that stands.

    round:    what was committed and revealed.
    paid:     what it claims to add to the payouts.
    previous: the round whose merge it builds on, 0 for the initial state.
    """

    round: RoundStanding
    aggregator: Address
    paid: Wei
    previous: int


def _no_round() -> RoundStanding:
    return RoundStanding(0, Timestamp(0))


@dataclass
class Settlement:
    """Where a bounty stands after the events so far: the contract's storage, rebuilt.

    owed, free:    the two purses; see `ITrainingMarket.money`.
    round:         the round that runs, or ran last.
    live_round:    its number, or after a repeated last merge that of the last round that was opened.
    last_round:    the latest that was opened, while a voided round is merged again or the target is reached; else 0.
    merges:        by round, those that stand; merged_round: the latest of them, 0 if there is none.
    last_vests_at: when all that was merged so far has vested.
    due:           the events that must come next, in words; empty where any may.
    on_cue:        whether the latest event was due.
    claimed:       by provider, from payout trees.
    lapsed:        by round, what each of its updates may take, and the updates that may still take it.
    taken_back:    by round, what was voided with an earlier merge and waits for its lapse.
    interrupted:   rounds that ended with a void: what was committed in them need not be opened.
    disqualified:  (round, update root) of updates that were proven faulty.
    released:      rounds whose share went to the contract that divides it by contribution.
    revealed:      (round, update root) -> provider, of all rounds.
    deposits, payouts, refunds, rewards, returned: all that ever came in and went out.
    """

    posted: Posted
    status: Status = Status.JOINING
    round: RoundStanding = field(default_factory=_no_round)
    live_round: int = 0
    last_round: int = 0
    merges: dict[int, MergeStanding] = field(default_factory=dict)
    merged_round: int = 0
    last_vests_at: int = 0
    due: tuple[str, ...] = ()
    on_cue: bool = False
    owed: int = 0
    free: int = 0
    seats: dict[Address, Seat] = field(default_factory=dict)
    bonds: dict[Address, int] = field(default_factory=dict)
    claimed: dict[Address, int] = field(default_factory=dict)
    lapsed: dict[int, tuple[int, dict[Hash32, Address]]] = field(default_factory=dict)
    taken_back: dict[int, MergeStanding] = field(default_factory=dict)
    interrupted: set[int] = field(default_factory=set)
    disqualified: set[tuple[int, Hash32]] = field(default_factory=set)
    released: set[int] = field(default_factory=set)
    revealed: dict[tuple[int, Hash32], Address] = field(default_factory=dict)
    deposits: int = 0
    payouts: int = 0
    refunds: int = 0
    rewards: int = 0
    returned: int = 0
    faults: list[SettlementFault] = field(default_factory=list)

    @property
    def terms(self) -> Terms:
        return self.posted.terms

    @property
    def members(self) -> int:
        return sum(seat.active for seat in self.seats.values())

    @property
    def stakes(self) -> int:
        return sum(seat.stake for seat in self.seats.values())

    @property
    def held(self) -> int:
        """What the contract must hold for this bounty."""
        return self.owed + self.free + self.stakes + sum(self.bonds.values())

    def figures(self) -> dict[str, int]:
        """The sums that an auditor reads: deposits = payouts + refunds + rewards + returned + held."""
        return {
            "deposits": self.deposits,
            "payouts": self.payouts,
            "refunds": self.refunds,
            "rewards_for_proofs": self.rewards,
            "stakes_and_bonds_returned": self.returned,
            "stakes_held": self.stakes,
            "bonds_held": sum(self.bonds.values()),
            "owed": self.owed,
            "free": self.free,
        }

    def allocate(self, amount: int) -> None:
        """Make an amount of the free purse the providers', or what is left of it."""
        given = min(amount, max(self.free, 0))
        self.free -= given
        self.owed += given

    def take_back(self, amount: int) -> None:
        """Undo an allocation, as far as it was not paid out."""
        given = min(amount, max(self.owed, 0))
        self.owed -= given
        self.free += given

    def expect(self, event: Event, what: str, claimed: int | str, expected: int | str) -> None:
        if claimed != expected:
            self.faults.append(SettlementFault(event, what, claimed, expected))

    def expect_at_most(self, event: Event, what: str, claimed: int, most: int) -> None:
        if claimed > most:
            self.faults.append(SettlementFault(event, what, claimed, f"at most {most}"))

    def expect_status(self, event: Event, *allowed: Status) -> None:
        if self.status not in allowed:
            self.faults.append(SettlementFault(event, "status", self.status.value, " or ".join(allowed)))

    def require(self, event: Event, rule: str, kept: bool) -> None:
        """Note a broken rule that is not about a number."""
        if not kept:
            self.faults.append(SettlementFault(event, "rule", "broken", rule))
