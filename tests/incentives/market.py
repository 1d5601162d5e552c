"""A market in miniature with a clock and token balances: it plays by docs/PROTOCOL.md and emits the contract's events.
What proofs do to it is in `judged_market`.

Written apart from `incentives`, by time and balances instead of events, so that the two can be held to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from incentives.settlement import settle
from ledger.cid import Digest
from ledger.keccak import Hash32
from ledger.records import (
    Address,
    BondDeposited,
    BondForfeited,
    BondWithdrawn,
    Cancelled,
    Claimed,
    Committed,
    Ended,
    Event,
    Joined,
    Lapsed,
    LapsedClaimed,
    Left,
    Merged,
    Position,
    Posted,
    Refunded,
    Revealed,
    RewardRule,
    RoundOpened,
    ShareReleased,
    StakeForfeited,
    StakeWithdrawn,
    Terms,
    Timestamp,
    Wei,
)
from tests import builders as make


@dataclass
class Member:
    index: int
    stake: int = 0
    leaving_since: int | None = None
    committed: int = 0
    hidden: bool = False
    taken: int = 0


@dataclass
class Made:
    """A merge that stands, with what was revealed for it and what it pays to whom.

    undivided: what it pays by contribution, until that is released.
    """

    shown: list[Revealed]
    aggregator: Address
    pays: dict[Address, int]
    vests_at: int
    previous: int
    undivided: int = 0


@dataclass
class Market:
    """One bounty.

    earned:   each provider's cumulative pay by the merges that stand.
    reopened: while a voided round is merged again: the latest round that was opened; else 0.
    goes_on_after: where the target is reached: the round after which the bounty would go on; else 0.
    stuck:    shares of updates that were disqualified: nobody can take them.
    """

    terms: Terms
    now: int = 1000
    owner: Address = make.OWNER
    phase: str = "joining"
    round: int = 0
    opened_at: int = 0
    commit_end: int | None = None
    reveal_end: int = 0
    vests_at: int = 0
    committers: list[Address] = field(default_factory=list)
    shown: list[Revealed] = field(default_factory=list)
    people: dict[Address, Member] = field(default_factory=dict)
    bonds: dict[Address, int] = field(default_factory=dict)
    earned: dict[Address, int] = field(default_factory=dict)
    unclaimed: dict[tuple[int, Hash32], tuple[Address, int]] = field(default_factory=dict)
    merges: dict[int, Made] = field(default_factory=dict)
    reopened: int = 0
    goes_on_after: int = 0
    held_until: int = 0
    interrupted: set[int] = field(default_factory=set)
    providers: dict[tuple[int, Hash32], Address] = field(default_factory=dict)
    faulty: set[tuple[int, Hash32]] = field(default_factory=set)
    stuck: int = 0
    balance: int = 0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.balance = self.terms.pot
        self.emit(Posted, self.owner, self.terms)

    def emit(self, kind: type[Event], *values: Any) -> None:
        at = Position(self.now, len(self.events), "0x")
        self.events.append(kind(at, make.BOUNTY, *values))

    @property
    def active(self) -> list[Address]:
        return [who for who, one in self.people.items() if one.stake > 0 and one.leaving_since is None]

    @property
    def by_contribution(self) -> bool:
        return self.terms.reward_rule == RewardRule.CONTRIBUTION

    def share(self, number: int) -> int:
        pot, rounds = self.terms.pot, self.terms.rounds
        return pot * number // rounds - pot * (number - 1) // rounds

    # --- time ---

    def wait(self, seconds: int) -> None:
        self.now += seconds
        while self.phase == "running" and self._turn():
            pass

    def _turn(self) -> bool:
        if self.commit_end is None:
            expiry = self.opened_at + self.terms.patience * self.terms.commit_seconds
            if self.now < expiry:
                return False
            self._end(expiry)
        elif self.now < self.reveal_end:
            return False
        elif len(self.shown) < self.terms.min_updates:
            self._lapse(self.round, self.shown, 0)
            self._next(self.reveal_end)
        else:
            silence = self.reveal_end + self.terms.merge_seconds + self.terms.open_merge_seconds
            if self.now < silence:
                return False
            bond = 0
            if not self.reopened:
                bond = self.bonds.pop(self.terms.aggregator, 0)
                self.emit(BondForfeited, self.terms.aggregator, self.round, Wei(bond))
            self._lapse(self.round, self.shown, bond)
            self._end(silence)
        return True

    def _lapse(self, number: int, shown: list[Revealed], bond: int) -> None:
        each = (self.share(number) + bond) // max(len(shown), self.terms.min_updates)
        for one in shown:
            if (number, one.update_root) in self.faulty:
                self.stuck += each
            else:
                self.unclaimed[number, one.update_root] = (one.provider, each)
        self.emit(Lapsed, number, len(shown), Wei(each))

    def _next(self, moment: int) -> None:
        if self.reopened:
            self.round, self.reopened = self.reopened, 0
        if self.round == self.terms.rounds:
            return self._end(moment)
        self.phase, self.round, self.opened_at, self.commit_end = "running", self.round + 1, moment, None
        self.committers, self.shown = [], []
        return self.emit(RoundOpened, self.round, Timestamp(moment))

    def _end(self, moment: int) -> None:
        self.phase = "ended"
        self.emit(Ended, Timestamp(moment))

    def _open_when_ready(self) -> None:
        ready = len(self.active) >= self.terms.min_updates and self.terms.aggregator in self.bonds
        if self.phase == "joining" and ready:
            self._next(self.now)

    def _close_commits(self, moment: int) -> None:
        self.commit_end, self.reveal_end = moment, moment + self.terms.reveal_seconds

    # --- what can be done ---

    @property
    def committing(self) -> bool:
        return self.phase == "running" and (self.commit_end is None or self.now < self.commit_end)

    @property
    def revealing(self) -> bool:
        return self.phase == "running" and self.commit_end is not None and self.commit_end <= self.now < self.reveal_end

    @property
    def merging(self) -> bool:
        return self.phase == "running" and self.commit_end is not None and self.now >= self.reveal_end

    def overdue(self, who: Address) -> bool:
        one = self.people[who]
        return (
            one.hidden
            and one.committed not in self.interrupted
            and (one.committed != self.round or (self.commit_end is not None and self.now >= self.reveal_end))
        )

    def stake_free(self, who: Address) -> bool:
        one = self.people[who]
        waited = one.leaving_since is not None and self.now >= one.leaving_since
        ended = self.phase == "ended" and self.now >= self.vests_at
        return one.stake > 0 and self.now >= self.held_until and (waited or ended or self.phase == "cancelled")

    def can_commit(self, who: Address) -> bool:
        one = self.people.get(who)
        free = one is not None and one.committed != self.round and (not one.hidden or one.committed in self.interrupted)
        return self.committing and who in self.active and free

    def can_merge(self, who: Address) -> bool:
        late = self.reopened or self.now >= self.reveal_end + self.terms.merge_seconds
        return self.merging and who in self.bonds and bool(late or who == self.terms.aggregator)

    @property
    def unvested(self) -> list[int]:
        """Rounds whose merges can still be voided."""
        return [number for number, made in sorted(self.merges.items()) if self.now < made.vests_at]

    def bond_free(self, who: Address) -> bool:
        if self.now < self.held_until:
            return False
        if who != self.terms.aggregator:
            return who in self.bonds and self.now >= self.vests_at
        return who in self.bonds and self.phase != "running" and self.now >= self.vests_at

    def owed_to(self, who: Address) -> int:
        return self.earned[who] - self.people[who].taken if who in self.earned else 0

    # --- calls ---

    def join(self, who: Address, stake: int) -> None:
        one = self.people.setdefault(who, Member(len(self.people)))
        one.stake, one.leaving_since = stake, None
        self.balance += stake
        self.emit(Joined, who, one.index, Wei(stake), bytes(32), "")
        self._open_when_ready()

    def leave(self, who: Address) -> None:
        terms = self.terms
        horizon = terms.patience * terms.commit_seconds + terms.reveal_seconds + terms.merge_seconds
        horizon += terms.open_merge_seconds + terms.challenge_seconds
        free_at = self.now if self.phase == "joining" else self.now + horizon
        self.people[who].leaving_since = free_at
        self.emit(Left, who, Timestamp(free_at))
        if self.committing and self.commit_end is not None and len(self.committers) >= len(self.active):
            self._close_commits(self.now)

    def withdraw_stake(self, who: Address) -> None:
        one = self.people[who]
        if self.overdue(who):
            self.forfeit(who)
        self.emit(StakeWithdrawn, who, Wei(one.stake))
        self.balance -= one.stake
        one.stake, one.leaving_since = 0, None

    def forfeit(self, who: Address) -> None:
        one = self.people[who]
        one.hidden = False
        one.stake -= self.terms.forfeit
        self.emit(StakeForfeited, who, one.committed, self.terms.forfeit)
        if one.stake < self.terms.forfeit and one.leaving_since is None:
            self.leave(who)

    def commit(self, who: Address) -> None:
        one = self.people[who]
        one.committed, one.hidden = self.round, True
        self.committers.append(who)
        self.emit(Committed, self.round, who, make.word(f"{who} {self.round}"))
        seconds = self.terms.commit_seconds
        if len(self.committers) == self.terms.min_updates:
            self._close_commits(self.opened_at + ((self.now - self.opened_at) // seconds + 1) * seconds)
        full = len(self.committers) >= len(self.active) or len(self.committers) == self.terms.max_updates
        if self.commit_end is not None and full:
            self._close_commits(self.now)

    def reveal(self, who: Address) -> None:
        one = self.people[who]
        one.hidden = False
        weight = max(1, min(one.stake // self.terms.stake, self.terms.max_weight))
        root = make.word(f"root {who} {self.round}")
        self.emit(Revealed, self.round, who, len(self.shown), Digest(root), root, 7, weight)
        shown = self.events[-1]
        assert isinstance(shown, Revealed)
        self.shown.append(shown)
        self.providers[self.round, root] = who
        if len(self.shown) == len(self.committers):
            self.reveal_end = self.now

    def deposit_bond(self, who: Address) -> None:
        self.bonds[who] = self.terms.bond
        self.balance += self.terms.bond
        self.emit(BondDeposited, who, self.terms.bond)
        self._open_when_ready()

    def withdraw_bond(self, who: Address) -> None:
        amount = self.bonds.pop(who)
        self.balance -= amount
        self.emit(BondWithdrawn, who, Wei(amount))

    def merge(self, who: Address, rejected: int, metric: int = 0) -> None:
        counted = [one for one in self.shown if not rejected >> one.index & 1]
        total = max(sum(one.weight for one in counted), self.terms.min_updates)
        undivided = self.share(self.round) * len(counted) // total if self.by_contribution else 0
        pays: dict[Address, int] = {}
        for one in counted if not self.by_contribution else ():
            pays[one.provider] = pays.get(one.provider, 0) + self.share(self.round) * one.weight // total
        for provider, pay in pays.items():
            self.earned[provider] = self.earned.get(provider, 0) + pay
        self.vests_at = max(self.vests_at, self.now + self.terms.challenge_seconds)
        previous = max((number for number in self.merges), default=0)
        paid = Wei(sum(pays.values()) + undivided)
        reasons = make.reasons(*[4] * rejected.bit_count())
        given = {"rejected": rejected, "reasons": reasons, "payout_leaves": len(self.people), "metric": metric}
        claim = make.claim(self.round, paid=paid, **given)
        moments = (Timestamp(self.now), Timestamp(self.vests_at))
        self.emit(Merged, self.round, who, claim, len(self.shown), previous, *moments, make.word("record")[:28])
        self.merges[self.round] = Made(self.shown, who, pays, self.vests_at, previous, undivided)
        if self.terms.target and metric >= self.terms.target:
            self.round = self.goes_on_after = self.reopened or self.round
            self._end(self.now)
        else:
            self._next(self.now)

    # --- money out ---

    def claim(self, who: Address) -> None:
        amount = self.earned[who] - self.people[who].taken
        self.people[who].taken += amount
        self.balance -= amount
        self.emit(Claimed, who, Wei(amount))

    def claim_lapsed(self, number: int, root: Hash32) -> None:
        who, amount = self.unclaimed.pop((number, root))
        self.balance -= amount
        self.emit(LapsedClaimed, number, who, root, Wei(amount))

    @property
    def undivided(self) -> list[int]:
        """Rounds whose share can be released."""
        return [number for number, made in sorted(self.merges.items()) if made.undivided and self.now >= made.vests_at]

    def release(self, number: int) -> None:
        amount, self.merges[number].undivided = self.merges[number].undivided, 0
        self.balance -= amount
        self.emit(ShareReleased, number, Wei(amount))

    def cancel(self) -> None:
        self.phase = "cancelled"
        self.balance -= self.terms.pot
        self.emit(Cancelled, self.terms.pot)

    def refund(self) -> None:
        amount = self.refundable
        self.balance -= amount
        self.emit(Refunded, self.owner, Wei(amount))

    @property
    def refundable(self) -> int:
        """All that is here and is nobody's stake, bond, pay or share of a lapsed round."""
        locked = sum(one.stake for one in self.people.values()) + sum(self.bonds.values())
        pay = sum(amount - self.people[who].taken for who, amount in self.earned.items())
        pay += sum(made.undivided for made in self.merges.values())
        return self.balance - locked - pay - self.stuck - sum(amount for _, amount in self.unclaimed.values())


def first_of(events: Sequence[Event], kind: type[Event]) -> int:
    """The place of the first event of a kind."""
    return next(index for index, event in enumerate(events) if isinstance(event, kind))


def faults_of(events: list[Event]) -> list[str]:
    return [f"{type(fault.event).__name__}: {fault.what}" for fault in settle(events).faults]
