"""The replay of one bounty by hand: what it adds up to, and every lie that it must name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from incentives.settlement import settle
from incentives.standing import Status
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
    Posted,
    Refunded,
    Revealed,
    RewardRule,
    RoundOpened,
    StakeForfeited,
    StakeWithdrawn,
    Wei,
)
from tests import builders as make
from tests.incentives.market import Market, faults_of, first_of

pytestmark = pytest.mark.unit

CAROL = Address("0x" + "CA" * 20)
PEOPLE = [make.ALICE, make.BOB, CAROL]


def run_round(market: Market, reveal: list[Address], rejected: int | None) -> None:
    """Everybody commits, `reveal` open, and the aggregator merges unless `rejected` is None."""
    for who in list(market.active):
        market.commit(who)
    for who in reveal:
        market.reveal(who)
    market.wait(market.terms.reveal_seconds)
    if rejected is not None and market.phase == "running" and market.shown:
        market.merge(make.AGGREGATOR, rejected)


def whole_life() -> list[Event]:
    """A merge, a merge with a rejection and an absentee, a lapse, a silent aggregator; then everything is taken out."""
    terms = make.terms(
        pot=Wei(1001), rounds=5, min_updates=2, reward_rule=RewardRule.STAKE, max_weight=3, forfeit=Wei(60)
    )
    market = Market(terms)
    for who, stake in zip(PEOPLE, (100, 200, 350), strict=True):
        market.join(who, stake)
    market.deposit_bond(make.AGGREGATOR)
    run_round(market, PEOPLE, 0)
    run_round(market, [CAROL, make.BOB], 0b01)
    market.forfeit(make.ALICE)
    run_round(market, [make.BOB], None)
    market.forfeit(CAROL)
    run_round(market, [make.BOB, CAROL], None)
    market.wait(10_000)
    for who in PEOPLE:
        market.claim(who)
        market.withdraw_stake(who)
    for number, root in list(market.unclaimed):
        market.claim_lapsed(number, root)
    market.refund()
    assert market.balance == 0
    return market.events


LIFE = whole_life()


def test_settle__when_a_bounty_has_lived_through_everything__then_there_is_no_fault_and_nothing_left() -> None:
    kinds = {type(event) for event in LIFE}
    assert kinds >= {Merged, Lapsed, BondForfeited, StakeForfeited, Claimed, LapsedClaimed, Refunded, Left, Ended}
    state = settle(LIFE)
    assert state.faults == []
    assert (state.status, state.held, state.owed, state.free) == (Status.ENDED, 0, 0, 0)
    assert state.deposits == state.payouts + state.refunds + state.returned == 1001 + 650 + 50


def test_settle__when_the_history_is_cut_anywhere__then_there_is_no_fault_and_the_sums_hold() -> None:
    for length in range(1, len(LIFE) + 1):
        state = settle(LIFE[:length])
        assert state.faults == []
        figures = state.figures()
        came_in = figures.pop("deposits")
        assert came_in == sum(figures.values())


def test_settle__when_a_bounty_is_cancelled__then_everything_goes_back() -> None:
    market = Market(make.terms(min_updates=2))
    market.join(make.ALICE, 100)
    market.deposit_bond(make.AGGREGATOR)
    market.cancel()
    market.withdraw_stake(make.ALICE)
    market.withdraw_bond(make.AGGREGATOR)
    state = settle(market.events)
    assert (state.faults, state.status, state.held, state.refunds, state.returned) == (
        [],
        Status.CANCELLED,
        0,
        900,
        150,
    )


def test_settle__when_nobody_commits__then_the_bounty_expires_and_the_owner_is_refunded() -> None:
    market = Market(make.terms())
    market.join(make.ALICE, 100)
    market.deposit_bond(make.AGGREGATOR)
    market.wait(1000)
    market.refund()
    state = settle(market.events)
    assert (state.faults, state.status, state.refunds) == ([], Status.ENDED, 900)


@pytest.mark.parametrize("events", [[], LIFE[1:]])
def test_settle__when_it_does_not_begin_with_posted__then_it_is_refused(events: list[Event]) -> None:
    with pytest.raises(ValueError, match="Posted"):
        settle(events)


AMOUNTS = [
    (index, field.name)
    for index, event in enumerate(LIFE)
    for field in fields(event)
    if field.name in {"amount", "share", "weight", "index", "reveals", "round", "previous", "stake", "bond", "reward"}
    and not (isinstance(event, Joined | Claimed) and field.name in {"stake", "amount"})
]


@pytest.mark.parametrize(("index", "name"), AMOUNTS)
def test_settle__when_one_number_is_raised_by_one__then_that_event_is_named(index: int, name: str) -> None:
    event = LIFE[index]
    lie = replace(event, **{name: getattr(event, name) + 1})
    faults = settle([*LIFE[:index], lie, *LIFE[index + 1 :]]).faults
    assert faults
    assert faults[0].event is lie


MONEY_OUT = (Claimed, LapsedClaimed, Refunded)
DROPPABLE = [index for index, event in enumerate(LIFE) if index and not isinstance(event, (*MONEY_OUT, StakeWithdrawn))]


@pytest.mark.parametrize("index", DROPPABLE)
def test_settle__when_an_event_is_left_out__then_there_is_a_fault(index: int) -> None:
    assert faults_of([*LIFE[:index], *LIFE[index + 1 :]])


@pytest.mark.parametrize("index", [i for i, event in enumerate(LIFE) if not isinstance(event, Claimed)])
def test_settle__when_an_event_comes_twice__then_there_is_a_fault(index: int) -> None:
    assert faults_of([*LIFE[: index + 1], *LIFE[index:]])


def test_settle__when_a_claim_comes_twice__then_the_purse_runs_dry() -> None:
    index = first_of(LIFE, Claimed)
    assert any("owed" in fault for fault in faults_of([*LIFE[: index + 1], *LIFE[index:]]))


def claiming(event: Merged, **changes: Any) -> Merged:
    return replace(event, claim=replace(event.claim, **changes))


CASES: list[tuple[type[Event], Callable[[Any], Event], str]] = [
    (Joined, lambda e: replace(e, stake=Wei(99)), "Joined: rule"),
    (BondDeposited, lambda e: replace(e, amount=Wei(0)), "BondDeposited: bond"),
    (Committed, lambda e: replace(e, provider=make.OWNER), "Committed: rule"),
    (Revealed, lambda e: replace(e, provider=make.OWNER), "Revealed: rule"),
    (Revealed, lambda e: replace(e, squared_norm=2**41), "Revealed: squared norm"),
    (Merged, lambda e: replace(e, aggregator=make.OWNER), "Merged: rule"),
    (Merged, lambda e: claiming(e, paid=Wei(201)), "Merged: paid"),
    (Merged, lambda e: claiming(e, rejected=0b111, reasons=make.reasons(1, 1, 1)), "Merged: paid"),
    (Merged, lambda e: claiming(e, rejected=0b1000, reasons=make.reasons(1)), "Merged: rule"),
    (Merged, lambda e: claiming(e, reasons=make.reasons(1)), "Merged: bytes of reasons"),
    (Merged, lambda e: claiming(e, payout_leaves=4), "Merged: payout leaves"),
    (Merged, lambda e: replace(e, vests_at=e.vests_at + 1), "Merged: time of vesting"),
    (Merged, lambda e: replace(e, merged_at=e.merged_at + 1), "RoundOpened: moment of the merge"),
    (RoundOpened, lambda e: replace(e, round=7), "RoundOpened: round"),
    (Lapsed, lambda e: replace(e, round=4), "Lapsed: round"),
    (BondForfeited, lambda e: replace(e, account=make.ALICE), "BondForfeited: rule"),
    (StakeForfeited, lambda e: replace(e, provider=make.OWNER), "StakeForfeited: rule"),
    (Claimed, lambda e: replace(e, provider=make.OWNER), "Claimed: rule"),
    (Claimed, lambda e: replace(e, amount=Wei(0)), "Claimed: rule"),
    (LapsedClaimed, lambda e: replace(e, provider=make.OWNER), "LapsedClaimed: share of a lapsed round"),
    (Refunded, lambda e: replace(e, owner=make.ALICE), "Refunded: owner"),
    (Ended, lambda e: Cancelled(e.at, e.bounty, Wei(0)), "Cancelled: status"),
    (Refunded, lambda e: BondWithdrawn(e.at, e.bounty, make.AGGREGATOR, Wei(50)), "BondWithdrawn: bond"),
    (Ended, lambda e: Posted(e.at, e.bounty, make.OWNER, make.terms()), "Posted: rule"),
]


@pytest.mark.parametrize(("kind", "change", "fault"), CASES)
def test_settle__when_an_event_breaks_a_rule__then_the_rule_is_named(
    kind: type[Event], change: Callable[[Any], Event], fault: str
) -> None:
    index = first_of(LIFE, kind)
    assert fault in faults_of([*LIFE[:index], change(LIFE[index]), *LIFE[index + 1 :]])


def test_settle__when_a_bounty_expires_in_spite_of_the_quorum__then_it_is_named() -> None:
    index = first_of(LIFE, Revealed)
    end = Ended(LIFE[index].at, make.BOUNTY, LIFE[first_of(LIFE, Ended)].ended_at)  # type: ignore[attr-defined]
    assert "Ended: rule" in faults_of([*LIFE[:index], end])


def test_settle__when_the_aggregator_takes_its_bond_during_a_round__then_it_is_named() -> None:
    index = first_of(LIFE, Revealed)
    withdrawal = BondWithdrawn(LIFE[index].at, make.BOUNTY, make.AGGREGATOR, Wei(50))
    assert "BondWithdrawn: rule" in faults_of([*LIFE[:index], withdrawal])
