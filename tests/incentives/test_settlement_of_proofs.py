"""The replay of voided merges, disqualified updates and demands: the same money, and every lie named."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from incentives.settlement import settle
from incentives.standing import Status
from ledger.records import Address, Event, Lapsed, MergeVoided, UpdateDisqualified, VestingExtended, Wei
from tests import builders as make
from tests.incentives.judged_market import JudgedMarket
from tests.incentives.market import faults_of, first_of

pytestmark = pytest.mark.unit

CAROL = Address("0x" + "CA" * 20)
PEOPLE = [make.ALICE, make.BOB, CAROL]
RIVAL = make.OWNER


def run_round(market: JudgedMarket) -> None:
    for who in list(market.active):
        market.commit(who)
    for who in list(market.committers):
        market.reveal(who)
    market.merge(make.AGGREGATOR, 0)


def started(**changes: object) -> JudgedMarket:
    terms = {"pot": Wei(1000), "rounds": 4, "min_updates": 2, "challenge_seconds": 100, **changes}
    market = JudgedMarket(make.terms(**terms))
    for who in PEOPLE:
        market.join(who, 100)
    market.deposit_bond(make.AGGREGATOR)
    return market


def story() -> JudgedMarket:
    """Round 1 is voided when 2 is merged and 3 runs; a rival merges it again, and round 4 goes as it should."""
    market = started()
    run_round(market)
    run_round(market)
    market.commit(make.ALICE)
    market.void(CAROL, 1)
    market.deposit_bond(RIVAL)
    market.merge(RIVAL, 0b010)
    market.deposit_bond(make.AGGREGATOR)
    market.extend(1, market.now + 500)
    market.disqualify(CAROL, 2, make.word(f"root {make.BOB} 2"))
    run_round(market)
    return market


def finish(market: JudgedMarket) -> None:
    market.wait(1000)
    for who in PEOPLE:
        if market.owed_to(who):
            market.claim(who)
        if market.stake_free(who):
            market.withdraw_stake(who)
    for key in list(market.unclaimed):
        market.claim_lapsed(*key)
    for who in list(market.bonds):
        market.withdraw_bond(who)
    market.refund()


def whole_story() -> list[Event]:
    market = story()
    finish(market)
    assert market.balance == market.stuck
    return market.events


LIFE = whole_story()


def test_settle__when_a_merge_is_voided_and_repeated__then_there_is_no_fault_and_the_sums_hold() -> None:
    for length in range(1, len(LIFE) + 1):
        state = settle(LIFE[:length])
        assert state.faults == []
        figures = state.figures()
        came_in = figures.pop("deposits")
        assert came_in == sum(figures.values())
    assert (state.status, state.rewards) == (Status.ENDED, 25 + 50)


def test_settle__when_a_merge_is_voided__then_its_pay_is_taken_back_and_later_rounds_are_compensated() -> None:
    market = started()
    run_round(market)
    run_round(market)
    before = settle(market.events)
    market.void(CAROL, 1)
    state = settle(market.events)
    assert (before.owed, before.free) == (2 * 249, 1000 - 2 * 249)
    assert (state.owed, state.free) == (249, 1000 - 249 + 25), "round 2 lapsed; half the bond is the owner's"
    assert (state.merged_round, sorted(state.merges), state.lapsed[2][0]) == (0, [], 83)


def test_settle__when_a_commitment_was_interrupted__then_it_can_be_replaced_and_the_stake_taken() -> None:
    market = started(rounds=3)
    run_round(market)
    market.commit(make.ALICE)
    market.void(CAROL, 1)
    market.deposit_bond(RIVAL)
    market.merge(RIVAL, 0)
    market.commit(make.ALICE)
    market.commit(make.BOB)
    assert settle(market.events).faults == []
    market.wait(10_000)
    market.withdraw_stake(CAROL)
    assert settle(market.events).faults == []


def test_settle__when_nobody_merges_a_voided_round_again__then_it_lapses_and_no_bond_is_lost() -> None:
    market = started()
    run_round(market)
    market.void(CAROL, 1)
    market.deposit_bond(make.AGGREGATOR)
    market.wait(1000)
    state = settle(market.events)
    assert state.faults == []
    assert (state.status, state.bonds[make.AGGREGATOR], state.lapsed[1][0]) == (Status.ENDED, 50, 83)


def test_settle__when_the_last_merge_is_voided_after_the_end__then_the_bounty_runs_until_it_is_repeated() -> None:
    market = started(rounds=1)
    run_round(market)
    market.void(CAROL, 1)
    assert settle(market.events).status == Status.RUNNING
    market.deposit_bond(RIVAL)
    market.merge(RIVAL, 0)
    state = settle(market.events)
    assert (state.faults, state.status, state.merged_round) == ([], Status.ENDED, 1)


def test_settle__when_an_update_is_disqualified__then_the_stake_is_lost_and_the_membership_over() -> None:
    market = started()
    run_round(market)
    market.disqualify(CAROL, 1, make.word(f"root {make.BOB} 1"))
    state = settle(market.events)
    assert (state.faults, state.members, state.seats[make.BOB].stake, state.rewards) == ([], 2, 0, 50)


NUMBERS = [
    (index, field.name)
    for index, event in enumerate(LIFE)
    if isinstance(event, MergeVoided | UpdateDisqualified | Lapsed)
    for field in fields(event)
    if field.name in {"interrupted", "bond", "stake", "reward", "reveals", "share"}
]


@pytest.mark.parametrize(("index", "name"), NUMBERS)
def test_settle__when_a_number_of_a_proof_is_raised_by_one__then_that_event_is_named(index: int, name: str) -> None:
    lie = replace(LIFE[index], **{name: getattr(LIFE[index], name) + 1})
    faults = settle([*LIFE[:index], lie, *LIFE[index + 1 :]]).faults
    assert faults
    assert faults[0].event is lie


@pytest.mark.parametrize("kind", [MergeVoided, UpdateDisqualified, VestingExtended])
def test_settle__when_a_proofs_event_is_left_out__then_there_is_a_fault(kind: type[Event]) -> None:
    index = first_of(LIFE, kind)
    assert faults_of([*LIFE[:index], *LIFE[index + 1 :]])


def test_settle__when_a_merge_is_voided_twice__then_it_is_named() -> None:
    index = first_of(LIFE, MergeVoided)
    assert "MergeVoided: rule" in faults_of([*LIFE[: index + 3], LIFE[index]])


def test_settle__when_the_voided_merger_is_another_one__then_it_is_named() -> None:
    index = first_of(LIFE, MergeVoided)
    event = LIFE[index]
    assert isinstance(event, MergeVoided)
    assert "MergeVoided: aggregator" in faults_of([*LIFE[:index], replace(event, aggregator=RIVAL)])
