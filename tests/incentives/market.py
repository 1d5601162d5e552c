"""A market in miniature with a clock and token balances: it plays by docs/PROTOCOL.md and emits the contract's events.

Written apart from `incentives`, by time and balances instead of events, so that the two can be held to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
    RoundOpened,
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
class Market:
    """One bounty. `earned` is each provider's cumulative pay by the merges; `wallets` count what left the contract."""

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

    def share(self) -> int:
        pot, rounds = self.terms.pot, self.terms.rounds
        return pot * self.round // rounds - pot * (self.round - 1) // rounds

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
            self._lapse(0)
            self._next(self.reveal_end)
        else:
            silence = self.reveal_end + self.terms.merge_seconds + self.terms.open_merge_seconds
            if self.now < silence:
                return False
            bond = self.bonds.pop(self.terms.aggregator)
            self.emit(BondForfeited, self.terms.aggregator, self.round, Wei(bond))
            self._lapse(bond)
            self._end(silence)
        return True

    def _lapse(self, bond: int) -> None:
        each = (self.share() + bond) // max(len(self.shown), self.terms.min_updates)
        for one in self.shown:
            self.unclaimed[self.round, one.update_root] = (one.provider, each)
        self.emit(Lapsed, self.round, len(self.shown), Wei(each))

    def _next(self, moment: int) -> None:
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
        return one.hidden and (
            one.committed != self.round or (self.commit_end is not None and self.now >= self.reveal_end)
        )

    def stake_free(self, who: Address) -> bool:
        one = self.people[who]
        waited = one.leaving_since is not None and self.now >= one.leaving_since
        ended = self.phase == "ended" and self.now >= self.vests_at
        return one.stake > 0 and (waited or ended or self.phase == "cancelled")

    def bond_free(self, who: Address) -> bool:
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

    def merge(self, who: Address, rejected: int) -> None:
        counted = [one for one in self.shown if not rejected >> one.index & 1]
        total = sum(one.weight for one in counted)
        paid = 0
        for one in counted:
            pay = self.share() * one.weight // total
            self.earned[one.provider] = self.earned.get(one.provider, 0) + pay
            paid += pay
        self.vests_at = self.now + self.terms.challenge_seconds
        hashes = (make.word("state"), Digest(make.word("cid")), Digest(make.word("report")), make.word("payouts"))
        reasons = bytes([4] * rejected.bit_count())
        counts = (len(self.shown), len(self.people), Timestamp(self.vests_at), make.word("record"))
        self.emit(Merged, self.round, who, *hashes, Wei(paid), rejected, reasons, *counts)
        self._next(self.now)

    def claim(self, who: Address) -> None:
        amount = self.earned[who] - self.people[who].taken
        self.people[who].taken += amount
        self.balance -= amount
        self.emit(Claimed, who, Wei(amount))

    def claim_lapsed(self, number: int, root: Hash32) -> None:
        who, amount = self.unclaimed.pop((number, root))
        self.balance -= amount
        self.emit(LapsedClaimed, number, who, root, Wei(amount))

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
        return self.balance - locked - pay - sum(amount for _, amount in self.unclaimed.values())
