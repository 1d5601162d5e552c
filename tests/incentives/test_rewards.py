"""Dividing a share by weights: exact, monotone, blind to order."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.rewards import split, weight_of
from ledger.records import RewardRule, Wei
from tests import builders as make

pytestmark = pytest.mark.unit

SHARES = st.integers(0, 2**96 - 1).map(Wei)
WEIGHTS = st.lists(st.integers(1, 255), min_size=1, max_size=256)


@given(SHARES, WEIGHTS)
def test_split__when_a_share_is_divided__then_every_unit_is_accounted_for(share: Wei, weights: list[int]) -> None:
    divided = split(share, weights)
    assert divided.paid + divided.residue == share
    assert 0 <= divided.residue < len(weights)
    assert len(divided.parts) == len(weights)
    assert all(part >= 0 for part in divided.parts)


@given(SHARES, WEIGHTS, st.integers(1, 256))
def test_split__when_a_quorum_is_missing__then_nobody_earns_more_than_in_a_bare_quorum(
    share: Wei, weights: list[int], quorum: int
) -> None:
    divided = split(share, weights, quorum)
    assert divided.paid + divided.residue == share
    filled = split(share, [*weights, *[1] * (quorum - sum(weights))], quorum)
    assert divided.parts == filled.parts[: len(weights)]


@given(SHARES, WEIGHTS, st.randoms(use_true_random=False))
def test_split__when_the_order_changes__then_each_weight_earns_the_same(
    share: Wei, weights: list[int], random: Random
) -> None:
    order = list(range(len(weights)))
    random.shuffle(order)
    straight = split(share, weights)
    shuffled = split(share, [weights[index] for index in order])
    assert [straight.parts[index] for index in order] == list(shuffled.parts)
    assert straight.residue == shuffled.residue


@given(SHARES, WEIGHTS)
def test_split__when_one_weight_is_greater__then_it_earns_no_less(share: Wei, weights: list[int]) -> None:
    ranked = sorted(zip(weights, split(share, weights).parts, strict=True))
    assert all(lower[1] <= upper[1] for lower, upper in pairwise(ranked))


@given(SHARES, st.integers(0, 2**64), WEIGHTS)
def test_split__when_the_share_grows__then_nobody_earns_less(share: Wei, more: int, weights: list[int]) -> None:
    before, after = split(share, weights).parts, split(Wei(share + more), weights).parts
    assert all(old <= new for old, new in zip(before, after, strict=True))


@given(SHARES, WEIGHTS)
def test_split__when_one_update_joins__then_nobody_else_earns_more(share: Wei, weights: list[int]) -> None:
    alone, together = split(share, weights).parts, split(share, [*weights, 7]).parts
    assert all(new <= old for old, new in zip(alone, together, strict=False))


@pytest.mark.parametrize(
    ("share", "weights", "parts", "residue"),
    [
        (100, [1, 1, 1], (33, 33, 33), 1),
        (100, [1, 2, 4], (14, 28, 57), 1),
        (2, [1, 1, 1], (0, 0, 0), 2),
        (0, [3], (0,), 0),
        (100, [], (), 100),
    ],
)
def test_split__when_worked_by_hand__then_it_agrees(
    share: int, weights: list[int], parts: tuple[int, ...], residue: int
) -> None:
    divided = split(Wei(share), weights)
    assert (divided.parts, divided.residue) == (parts, residue)


@pytest.mark.parametrize(("share", "weights"), [(-1, [1]), (5, [1, 0]), (5, [-2])])
def test_split__when_a_number_is_impossible__then_it_is_refused(share: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"can't be -1|1 or more"):
        split(Wei(share), weights)


@pytest.mark.parametrize(
    ("stake", "weight"), [(0, 1), (99, 1), (100, 1), (199, 1), (200, 2), (399, 3), (400, 4), (10**9, 4)]
)
def test_weight_of__when_stakes_weigh__then_whole_multiples_count_up_to_the_cap(stake: int, weight: int) -> None:
    terms = make.terms(reward_rule=RewardRule.STAKE, stake=Wei(100), max_weight=4)
    assert weight_of(Wei(stake), terms) == weight


def test_weight_of__when_pay_is_equal__then_every_stake_weighs_one() -> None:
    assert weight_of(Wei(10**9), make.terms(reward_rule=RewardRule.EQUAL)) == 1
