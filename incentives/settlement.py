"""A bounty's money replayed from its events: every transition held to the rules, every unit accounted for.

The reference model of the contract's accounts. Pure; amounts are in the token's smallest unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from incentives.shares import lapsed_share, round_share
from ledger.records import (
    Address,
    BondDeposited,
    BondForfeited,
    BondWithdrawn,
    Cancelled,
    Claimed,
    Event,
    Joined,
    Lapsed,
    LapsedClaimed,
    Merged,
    Posted,
    Refunded,
    Revealed,
    StakeForfeited,
    StakeWithdrawn,
    Terms,
    Wei,
)


@dataclass(frozen=True)
class MoneyFault:
    """An amount that the rules do not give, at one event."""

    event: Event
    what: str
    claimed: int
    expected: int


@dataclass
class Settlement:
    """Where a bounty's money stands after the events so far.

    owed, free: the contract's two purses; see `Money`.
    claimed:    by provider, from payout trees; lapsed_claims: update roots that took a lapsed round's share.
    """

    terms: Terms
    owed: int = 0
    free: int = 0
    stakes: dict[Address, int] = field(default_factory=dict)
    bonds: dict[Address, int] = field(default_factory=dict)
    claimed: dict[Address, int] = field(default_factory=dict)
    reveals: dict[int, dict[bytes, Address]] = field(default_factory=dict)
    lapses: dict[int, int] = field(default_factory=dict)
    lapsed_claims: set[tuple[int, bytes]] = field(default_factory=set)
    silent_bond: dict[int, Wei] = field(default_factory=dict)
    deposits: int = 0
    payouts: int = 0
    refunds: int = 0
    returned: int = 0
    faults: list[MoneyFault] = field(default_factory=list)

    @property
    def held(self) -> int:
        """What the contract must hold for this bounty."""
        return self.owed + self.free + sum(self.stakes.values()) + sum(self.bonds.values())

    def figures(self) -> dict[str, int]:
        """The sums that an auditor reads: deposits = payouts + refunds + returned + held."""
        return {
            "deposits": self.deposits,
            "payouts": self.payouts,
            "refunds": self.refunds,
            "stakes_and_bonds_returned": self.returned,
            "stakes_held": sum(self.stakes.values()),
            "bonds_held": sum(self.bonds.values()),
            "owed": self.owed,
            "free": self.free,
        }

    def expect(self, event: Event, what: str, claimed: int, expected: int) -> None:
        if claimed != expected:
            self.faults.append(MoneyFault(event, what, claimed, expected))

    def expect_at_most(self, event: Event, what: str, claimed: int, most: int) -> None:
        if claimed > most:
            self.faults.append(MoneyFault(event, f"{what} (at most)", claimed, most))


def settle(events: Iterable[Event]) -> Settlement:
    """Replay one bounty's events in the order of execution.

    Holds:  after every event deposits = payouts + refunds + returned + held, or a fault says where not.
    Raises: ValueError if the first event is not `Posted`.
    """
    ordered = iter(events)
    first = next(ordered, None)
    if not isinstance(first, Posted):
        raise ValueError("a bounty's first event is Posted")
    state = Settlement(first.terms, free=first.terms.pot, deposits=first.terms.pot)
    for event in ordered:
        _apply_membership(state, event)
        _apply_round(state, event)
        _apply_payment(state, event)
        out = state.payouts + state.refunds + state.returned
        state.expect(event, "money held after the event", state.held, state.deposits - out)
        for purse, amount in (("owed", state.owed), ("free", state.free)):
            state.expect(event, f"the purse `{purse}`, which can't be below 0", min(amount, 0), 0)
    return state


def _apply_membership(state: Settlement, event: Event) -> None:
    match event:
        case Joined():
            state.expect_at_most(event, "the least stake", state.terms.stake, event.stake)
            state.stakes[event.provider] = state.stakes.get(event.provider, 0) + event.stake
            state.deposits += event.stake
        case StakeForfeited():
            state.expect(event, "forfeit", event.amount, state.terms.forfeit)
            state.stakes[event.provider] = state.stakes.get(event.provider, 0) - event.amount
            state.free += event.amount
        case StakeWithdrawn():
            state.expect(event, "stake", event.amount, state.stakes.pop(event.provider, 0))
            state.returned += event.amount
        case BondDeposited():
            state.expect(event, "bond", event.amount, state.terms.bond)
            state.bonds[event.account] = state.bonds.get(event.account, 0) + event.amount
            state.deposits += event.amount
        case BondWithdrawn():
            state.expect(event, "bond", event.amount, state.bonds.pop(event.account, 0))
            state.returned += event.amount


def _apply_round(state: Settlement, event: Event) -> None:
    match event:
        case Revealed():
            state.reveals.setdefault(event.round, {})[event.update_root] = event.provider
        case BondForfeited():
            state.expect(event, "bond", event.amount, state.bonds.pop(event.account, 0))
            state.silent_bond[event.round] = event.amount
            state.free += event.amount
        case Merged():
            state.expect_at_most(event, "paid", event.paid, round_share(state.terms, event.round))
            state.free -= event.paid
            state.owed += event.paid
        case Lapsed():
            count = len(state.reveals.get(event.round, {}))
            bond = state.silent_bond.get(event.round, Wei(0))
            state.expect(event, "reveals", event.reveals, count)
            state.expect(event, "share", event.share, lapsed_share(state.terms, event.round, count, bond))
            state.lapses[event.round] = event.share
            state.free -= event.share * event.reveals
            state.owed += event.share * event.reveals


def _apply_payment(state: Settlement, event: Event) -> None:
    match event:
        case Claimed():
            state.claimed[event.provider] = state.claimed.get(event.provider, 0) + event.amount
            state.owed -= event.amount
            state.payouts += event.amount
        case LapsedClaimed():
            _apply_lapsed_claim(state, event)
        case Cancelled():
            state.expect(event, "refund", event.refunded, state.free)
            state.free -= event.refunded
            state.refunds += event.refunded
        case Refunded():
            state.expect(event, "refund", event.amount, state.free)
            state.free -= event.amount
            state.refunds += event.amount


def _apply_lapsed_claim(state: Settlement, event: LapsedClaimed) -> None:
    key = (event.round, event.update_root)
    due = 0 if key in state.lapsed_claims else state.lapses.get(event.round, 0)
    if state.reveals.get(event.round, {}).get(event.update_root) != event.provider:
        due = 0
    state.expect(event, "share of a lapsed round", event.amount, due)
    state.lapsed_claims.add(key)
    state.owed -= event.amount
    state.payouts += event.amount
