"""Cumulative pay folded from events, and the tree that it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.payouts import (
    NoPayout,
    cumulative_payouts,
    entitlement,
    expected_paid,
    leaf_members,
    least_leaves,
    pay_round,
    split_round,
)
from incentives.shares import round_share
from ledger.commitments import payout_leaf, payout_tree
from ledger.history import BountyHistory, build_history
from ledger.records import Address, Event, Merged, RewardRule, Wei
from ledger.trees import chunk_root
from tests import builders as make

pytestmark = pytest.mark.unit

CAROL = Address("0x" + "CA" * 20)
PEOPLE = [make.ALICE, make.BOB, CAROL]


def round_events(number: int, providers: list[Address], rejected: int, weights: list[int] | None = None) -> list[Event]:
    """One merged round in which `providers` reveal in order."""
    block = number * 10
    shown = [
        replace(make.revealed(provider, number, index, block + 1), weight=(weights or [1] * len(providers))[index])
        for index, provider in enumerate(providers)
    ]
    reasons = make.reasons(*[4] * rejected.bit_count())
    closing = make.merged(
        number, block + 2, rejected=rejected, reasons=reasons, reveals=len(providers), payout_leaves=3
    )
    return [make.opened(number, block), *shown, closing]


def bounty(*rounds: list[Event], **changes: Any) -> BountyHistory:
    members = [make.joined(provider, index) for index, provider in enumerate(PEOPLE)]
    return build_history([make.posted(**changes), *members, *(event for one in rounds for event in one)])


def test_pay_round__when_one_update_is_rejected__then_the_others_share_the_round() -> None:
    history = bounty(round_events(1, [CAROL, make.ALICE, make.BOB], rejected=0))
    paid, payouts = pay_round(history, 1, rejected=0b010)
    assert paid == 300
    assert payouts == [(make.ALICE, 0), (make.BOB, 150), (CAROL, 150)]


def test_pay_round__when_all_are_rejected__then_nothing_is_paid_and_nothing_lost() -> None:
    history = bounty(round_events(1, PEOPLE, rejected=0))
    paid, payouts = pay_round(history, 1, rejected=0b111)
    assert (paid, payouts) == (0, [(member, 0) for member in PEOPLE])


def test_pay_round__when_stakes_weigh__then_the_recorded_weights_divide() -> None:
    terms = {"reward_rule": RewardRule.STAKE, "max_weight": 4}
    history = bounty(round_events(1, PEOPLE, rejected=0, weights=[1, 4, 2]), **terms)
    paid, payouts = pay_round(history, 1, rejected=0)
    assert [amount for _, amount in payouts] == [300 * 1 // 7, 300 * 4 // 7, 300 * 2 // 7]
    assert paid == sum(amount for _, amount in payouts)


def test_cumulative_payouts__when_rounds_follow__then_amounts_add_up() -> None:
    history = bounty(round_events(1, PEOPLE, rejected=0), round_events(2, [make.BOB, CAROL], rejected=0b10))
    assert cumulative_payouts(history, 1) == [(make.ALICE, 100), (make.BOB, 100), (CAROL, 100)]
    assert cumulative_payouts(history, 2) == [(make.ALICE, 100), (make.BOB, 400), (CAROL, 100)]


def test_cumulative_payouts__when_a_round_between_lapsed__then_it_adds_nothing() -> None:
    lapse = [make.opened(2, 20), make.revealed(make.BOB, 2, 0, 21)]
    history = bounty(round_events(1, PEOPLE, 0), lapse, round_events(3, [make.ALICE], 0))
    assert cumulative_payouts(history, 3) == [(make.ALICE, 400), (make.BOB, 100), (CAROL, 100)]


@pytest.mark.parametrize("number", [2, 9])
def test_cumulative_payouts__when_the_round_was_not_merged__then_it_is_refused(number: int) -> None:
    history = bounty(round_events(1, PEOPLE, 0), [make.opened(2, 20)])
    with pytest.raises(ValueError, match="round"):
        cumulative_payouts(history, number)


def test_pay_round__when_nothing_was_revealed__then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no reveals"):
        pay_round(bounty([make.opened(1, 10)]), 1, 0)


def test_leaf_members__when_someone_joins_after_the_last_reveal__then_the_tree_stays_as_it_was() -> None:
    history = bounty(round_events(1, PEOPLE[:2], 0))
    late = Address("0x" + "1A" * 20)
    events = list(history.events)
    events.insert(-1, make.joined(late, 3, block=12))
    again = build_history(events)
    assert leaf_members(again, 1) == PEOPLE
    assert cumulative_payouts(again, 1) == cumulative_payouts(history, 1)


def test_leaf_members__when_a_member_left_and_came_back__then_its_leaf_is_one() -> None:
    history = build_history(
        [
            make.posted(),
            make.joined(make.ALICE, 0),
            make.joined(make.BOB, 1),
            make.joined(make.ALICE, 0, block=3),
            *round_events(1, [make.ALICE], 0),
        ]
    )
    assert leaf_members(history, 1) == [make.ALICE, make.BOB]


def test_cumulative_payouts__when_the_merge_names_fewer_leaves__then_the_first_members_have_them() -> None:
    events = round_events(1, [make.BOB], 0)
    assert isinstance(events[-1], Merged)
    events[-1] = replace(events[-1], claim=replace(events[-1].claim, payout_leaves=2))
    assert cumulative_payouts(bounty(events), 1) == [(make.ALICE, 0), (make.BOB, 300)]
    assert leaf_members(bounty(events), 1) == PEOPLE


def test_cumulative_payouts__when_a_merge_is_voided__then_it_and_what_followed_pay_nothing() -> None:
    history = bounty(
        round_events(1, PEOPLE, 0), round_events(2, [make.BOB], 0), [make.opened(3, 30), make.voided(2, 31, 3)]
    )
    assert cumulative_payouts(history, 1) == [(make.ALICE, 100), (make.BOB, 100), (CAROL, 100)]
    assert pay_round(history, 2, 0)[1] == [(make.ALICE, 100), (make.BOB, 400), (CAROL, 100)]
    with pytest.raises(ValueError, match="voided"):
        cumulative_payouts(history, 2)


def test_least_leaves__then_everyone_that_is_paid_and_the_merge_before_are_covered() -> None:
    first, second = round_events(1, [CAROL], 0), round_events(2, [make.BOB], 0)
    assert least_leaves(bounty(first, second), 1) == 3
    assert least_leaves(bounty(first, second), 2) == 3, "no leaf is given up again"
    assert least_leaves(bounty(round_events(1, [make.BOB], 0)), 1) == 2


@given(st.integers(1, 2**96 - 1), st.lists(st.tuples(st.permutations(PEOPLE), st.integers(0, 7)), max_size=6))
def test_expected_paid__when_many_rounds_are_merged__then_the_pot_is_never_exceeded(
    pot: int, rounds: list[tuple[list[Address], int]]
) -> None:
    made = [round_events(number, order, rejected) for number, (order, rejected) in enumerate(rounds, 1)]
    history = bounty(*made, pot=Wei(pot), rounds=max(len(rounds), 1))
    paid = [expected_paid(history, number) for number in range(1, len(rounds) + 1)]
    assert sum(paid) <= pot
    for number, amount in enumerate(paid, 1):
        assert amount <= round_share(history.posted.terms, number)
        assert sum(total for _, total in cumulative_payouts(history, number)) == sum(paid[:number])


@given(st.permutations(PEOPLE), st.integers(0, 7))
def test_pay_round__when_reveals_come_in_another_order__then_the_leaves_are_the_same(
    order: list[Address], rejected_people: int
) -> None:
    def leaves(providers: list[Address]) -> object:
        rejected = sum(1 << k for k, one in enumerate(providers) if rejected_people >> PEOPLE.index(one) & 1)
        return pay_round(bounty(round_events(1, providers, 0)), 1, rejected)

    assert leaves(order) == leaves(PEOPLE)


def test_split_round__when_floors_leave_something__then_it_is_the_residue() -> None:
    history = bounty(round_events(1, PEOPLE, 0), pot=Wei(1000))
    divided = split_round(history.posted.terms, 1, history.rounds[1].reveals)
    assert (divided.paid, divided.residue) == (333, 0)
    assert split_round(history.posted.terms, 3, history.rounds[1].reveals).residue == 1


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 8, 9])
def test_entitlement__when_a_member_asks__then_its_proof_leads_to_the_root(members: int) -> None:
    payouts = [(Address(f"0x{index:040x}"), Wei(index * 10**18)) for index in range(1, members + 1)]
    for index, (account, amount) in enumerate(payouts):
        found = entitlement(payouts, account)
        assert found.cumulative == amount
        assert chunk_root(payout_leaf(index, account, amount), index, found.proof) == payout_tree(payouts).root


def test_entitlement__when_the_account_is_no_member__then_it_says_so() -> None:
    with pytest.raises(NoPayout, match="not among the 1 members"):
        entitlement([(make.ALICE, Wei(1))], make.BOB)
