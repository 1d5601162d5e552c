"""What joining can bring and cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.economics import estimate_pay
from incentives.rewards import split
from incentives.shares import round_share
from ledger.records import RewardRule, Wei
from tests import builders as make

pytestmark = pytest.mark.unit


def test_estimate_pay__when_pay_is_equal__then_quorum_and_full_round_bound_it() -> None:
    estimate = estimate_pay(make.terms(pot=Wei(900), rounds=3, min_updates=2, max_updates=6), members=4)
    assert (estimate.least, estimate.most, estimate.expected) == (50, 150, 75)
    assert estimate.all_rounds == (150, 450)


def test_estimate_pay__when_stakes_weigh__then_a_greater_stake_earns_more() -> None:
    terms = make.terms(
        pot=Wei(900), rounds=3, min_updates=2, max_updates=3, reward_rule=RewardRule.STAKE, stake=Wei(100), max_weight=4
    )
    small, large = estimate_pay(terms), estimate_pay(terms, stake=Wei(400))
    assert (small.least, small.most) == (300 // 9, 300 // 2)
    assert (large.least, large.most) == (300 * 4 // 12, 300 * 4 // 5)


def test_estimate_pay__by_contribution__may_be_nothing_or_all() -> None:
    terms = make.terms(pot=Wei(900), rounds=3, min_updates=2, reward_rule=RewardRule.CONTRIBUTION)
    estimate = estimate_pay(terms, members=3)
    assert (estimate.least, estimate.expected, estimate.most) == (0, 100, 300)
    assert estimate.all_rounds == (0, 900)


@pytest.mark.parametrize(
    ("forfeit", "stake", "rounds", "at_risk"), [(0, 100, 3, 0), (30, 100, 3, 90), (30, 100, 9, 90), (100, 100, 9, 100)]
)
def test_estimate_pay__when_nothing_is_ever_revealed__then_the_stake_is_the_most_that_is_lost(
    forfeit: int, stake: int, rounds: int, at_risk: int
) -> None:
    assert estimate_pay(make.terms(forfeit=Wei(forfeit), stake=Wei(stake), rounds=rounds)).at_risk == at_risk


@given(
    pot=st.integers(1, 2**96 - 1),
    rounds=st.integers(1, 20),
    updates=st.lists(st.integers(1, 5), min_size=2, max_size=8),
)
def test_estimate_pay__when_a_round_is_within_the_terms__then_the_pay_lies_in_the_range(
    pot: int, rounds: int, updates: list[int]
) -> None:
    terms = make.terms(
        pot=Wei(pot), rounds=rounds, min_updates=2, max_updates=8, reward_rule=RewardRule.STAKE, max_weight=5
    )
    estimate = estimate_pay(terms, stake=Wei(updates[0] * terms.stake))
    pay = split(round_share(terms, rounds), updates).parts[0]
    assert estimate.least <= pay <= estimate.most
    assert estimate.least <= estimate.expected or updates[0] > 1
