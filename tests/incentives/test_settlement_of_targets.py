"""The replay of bounties that end at their target, and of released shares: voided again, and lied about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incentives.settlement import settle
from incentives.standing import Settlement, Status
from ledger.records import Address, Event, Merged, RewardRule, RoundOpened, ShareReleased, Wei
from tests import builders as make
from tests.incentives.judged_market import JudgedMarket
from tests.incentives.market import faults_of

pytestmark = pytest.mark.unit

CAROL = Address("0x" + "CA" * 20)
PEOPLE = [make.ALICE, make.BOB, CAROL]
RIVAL = make.OWNER
TARGET = 900_000


def run_round(market: JudgedMarket, metric: int = 0, rejected: int = 0) -> None:
    for who in list(market.active):
        market.commit(who)
    for who in list(market.committers):
        market.reveal(who)
    market.merge(make.AGGREGATOR, rejected, metric)


def started(**changes: object) -> JudgedMarket:
    terms = {"pot": Wei(1000), "rounds": 4, "min_updates": 2, "challenge_seconds": 100, "target": TARGET, **changes}
    market = JudgedMarket(make.terms(**terms))
    for who in PEOPLE:
        market.join(who, 100)
    market.deposit_bond(make.AGGREGATOR)
    return market


def merge_again(market: JudgedMarket, metric: int) -> None:
    market.deposit_bond(RIVAL)
    market.merge(RIVAL, 0, metric)


def replayed(market: JudgedMarket) -> Settlement:
    state = settle(market.events)
    assert state.faults == []
    assert (state.status, state.held, state.free) == (market.phase, market.balance, market.refundable)
    return state


@pytest.mark.parametrize(("metric", "status"), [(0, "running"), (TARGET - 1, "running"), (TARGET, "ended")])
def test_settle__when_a_merge_has_a_metric__then_the_bounty_ends_where_it_reaches_the_target(
    metric: int, status: str
) -> None:
    market = started()
    run_round(market, metric)
    assert (replayed(market).status, market.round) == (status, 2 if status == "running" else 1)


def test_settle__when_there_is_no_target__then_no_metric_ends_a_bounty() -> None:
    market = started(target=0)
    run_round(market, 2**32 - 1)
    assert replayed(market).status == Status.RUNNING


def test_settle__when_the_target_is_reached__then_the_rounds_that_never_opened_are_the_owners() -> None:
    market = started()
    run_round(market, TARGET)
    market.wait(100)
    for who in PEOPLE:
        market.claim(who)
        market.withdraw_stake(who)
    market.withdraw_bond(make.AGGREGATOR)
    market.refund()
    assert (replayed(market).refunds, market.balance) == (1000 - 3 * (250 // 3), 0)


@pytest.mark.parametrize("voided", [1, 2])
@pytest.mark.parametrize("again", [0, TARGET])
def test_settle__when_what_reached_the_target_is_voided__then_the_bounty_goes_on_where_it_would_have(
    voided: int, again: int
) -> None:
    market = started()
    run_round(market)
    run_round(market, TARGET)
    market.void(CAROL, voided)
    assert replayed(market).status == Status.RUNNING
    merge_again(market, again)
    if again:
        assert replayed(market).status == Status.ENDED
        market.void(CAROL, voided)
        merge_again(market, 0)
    assert (replayed(market).status, market.round) == (Status.RUNNING, 3)
    market.deposit_bond(make.AGGREGATOR)
    run_round(market)
    run_round(market)
    assert (replayed(market).status, market.round) == (Status.ENDED, 4)


def test_settle__when_a_repeated_merge_after_the_last_round_reaches_the_target__then_no_round_follows_ever() -> None:
    market = started(rounds=2)
    run_round(market)
    run_round(market)
    market.void(CAROL, 1)
    merge_again(market, TARGET)
    market.void(CAROL, 1)
    merge_again(market, 0)
    assert (replayed(market).status, market.round) == (Status.ENDED, 2)


def test_settle__when_a_target_was_voided_and_nobody_merges_again__then_a_later_void_opens_no_round_either() -> None:
    market = started(challenge_seconds=1000)
    run_round(market)
    run_round(market, TARGET)
    market.void(CAROL, 2)
    market.wait(60)
    assert replayed(market).status == Status.ENDED, "nobody merged round 2 again"
    market.void(CAROL, 1)
    merge_again(market, 0)
    assert (replayed(market).status, market.round) == (Status.ENDED, 4)


@pytest.mark.parametrize("metric", [TARGET - 1, TARGET])
def test_settle__when_the_metric_of_a_merge_was_another__then_what_follows_is_named(metric: int) -> None:
    market = started()
    run_round(market, TARGET if metric < TARGET else 0)
    index = next(index for index, event in enumerate(market.events) if isinstance(event, Merged))
    merged = market.events[index]
    assert isinstance(merged, Merged)
    lie = replace(merged, claim=replace(merged.claim, metric=metric))
    faults = settle([*market.events[:index], lie, *market.events[index + 1 :]]).faults
    assert [fault.what for fault in faults][:1] == ["the event that must come next"]


# --- shares that are divided by contribution ---


def divided() -> list[Event]:
    """Two merges, the first with a rejection, the second of nothing; the share is released, everything is taken."""
    market = started(reward_rule=RewardRule.CONTRIBUTION, rounds=3, target=0)
    run_round(market, rejected=0b010)
    run_round(market, rejected=0b111)
    run_round(market)
    market.wait(100)
    for number in market.undivided:
        market.release(number)
    for who in PEOPLE:
        market.withdraw_stake(who)
    market.withdraw_bond(make.AGGREGATOR)
    market.refund()
    assert market.balance == 0
    return market.events


LIFE = divided()
RELEASES = [index for index, event in enumerate(LIFE) if isinstance(event, ShareReleased)]


def test_settle__when_shares_are_released__then_the_sums_hold_and_no_leaf_was_paid() -> None:
    state = settle(LIFE)
    assert (state.faults, state.held, state.owed, state.free) == ([], 0, 0, 0)
    assert (state.payouts, state.refunds, state.released) == (333 + 334, 333, {1, 3})
    assert state.claimed == {}


def test_settle__when_a_merge_by_contribution_is_voided__then_its_share_is_free_again() -> None:
    market = started(reward_rule=RewardRule.CONTRIBUTION, target=0)
    run_round(market)
    assert replayed(market).owed == 250
    market.void(CAROL, 1)
    assert replayed(market).owed == 0


@pytest.mark.parametrize("index", RELEASES)
def test_settle__when_a_release_is_another_or_comes_twice__then_it_is_named(index: int) -> None:
    event = LIFE[index]
    assert isinstance(event, ShareReleased)
    more = [*LIFE[:index], replace(event, amount=Wei(event.amount - 1)), *LIFE[index + 1 :]]
    assert "ShareReleased: released share" in faults_of(more)
    assert "ShareReleased: rule" in faults_of([*LIFE[: index + 1], *LIFE[index:]])
    assert "ShareReleased: rule" in faults_of([*LIFE[:index], replace(event, round=7), *LIFE[index + 1 :]])


def test_settle__when_a_share_is_released_under_another_rule__then_it_is_named() -> None:
    market = started(target=0)
    run_round(market)
    market.wait(100)
    market.emit(ShareReleased, 1, Wei(249))
    assert faults_of(market.events) == ["ShareReleased: rule"]


def test_settle__when_the_target_ended_a_bounty__then_no_round_may_open() -> None:
    market = started()
    run_round(market, TARGET)
    market.emit(RoundOpened, 2, market.now)
    assert "RoundOpened: status" in faults_of(market.events)
