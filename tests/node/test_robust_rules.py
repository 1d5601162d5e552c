"""The rules that look at whole updates, against the slow words of the protocol, coordinate by coordinate."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule
from node.distances import gram, squared_distances
from node.merging import ONE, merge_round
from node.robust_rules import WEIGHTS, krum_selection, median_weights, strangers

pytestmark = pytest.mark.unit

Rows = Sequence[Sequence[int]]

WHOLE = (MergeRule.MULTI_KRUM, MergeRule.GEOMETRIC_MEDIAN, MergeRule.NEAREST_NEIGHBOURS)

SMALL = st.integers(1, 9).flatmap(
    lambda size: st.lists(st.lists(st.integers(-2, 2), min_size=size, max_size=size), min_size=1, max_size=9)
)
"""Rounds full of equal updates and equal distances."""

WIDE = st.integers(1, 4).flatmap(
    lambda size: st.lists(st.lists(st.integers(-32767, 32767), min_size=size, max_size=size), min_size=1, max_size=9)
)


def squared(one: Sequence[Fraction | int], other: Sequence[Fraction | int]) -> Fraction:
    return sum(((Fraction(a) - b) ** 2 for a, b in zip(one, other, strict=True)), Fraction(0))


def slow_krum(rows: Rows, attackers: int) -> list[int]:
    """Blanchard's words: the score of an update is the sum over its n - f - 2 closest others."""
    count = len(rows)
    scored = []
    for place, row in enumerate(rows):
        others = sorted(squared(row, other) for index, other in enumerate(rows) if index != place)
        scored.append((sum(others[: count - attackers - 2]), place))
    chosen = [rows[place] for _, place in sorted(scored)[: count - attackers]]
    return [256 * sum(column) // len(chosen) for column in zip(*chosen, strict=True)]


def slow_mixing(rows: Rows, attackers: int) -> list[int]:
    """Allouah's words: each update becomes the mean of its n - f nearest; then the trimmed mean."""
    kept = len(rows) - attackers
    mixed = []
    for row in rows:
        near = sorted(range(len(rows)), key=lambda other: (squared(row, rows[other]), other))[:kept]
        mixed.append([Fraction(sum(column), kept) for column in zip(*(rows[other] for other in near), strict=True)])
    middles = [sorted(column)[attackers : len(rows) - attackers] for column in zip(*mixed, strict=True)]
    return [math.floor(256 * sum(middle) / len(middle)) for middle in middles]


def slow_median(rows: Rows) -> list[int]:
    """Section 7's words, with the center as a vector of fractions instead of inner products."""

    def weights_of(inverses: Sequence[int]) -> list[int]:
        return [inverse * 2**32 // sum(inverses) for inverse in inverses]

    def root(value: Fraction, unit: int) -> int:
        return math.isqrt(int(value * unit * unit))

    count = len(rows)
    starts = [sorted(root(squared(row, other), 1) for other in rows)[count // 2] for row in rows]
    weights = weights_of([2**64 // max(1, start) for start in starts])
    for _ in range(64):
        unit = sum(weights)
        center = [
            Fraction(sum(weight * value for weight, value in zip(weights, column, strict=True)), unit)
            for column in zip(*rows, strict=True)
        ]
        distances = [max(unit, root(squared(row, center), unit)) for row in rows]
        weights = weights_of([unit * 2**64 // distance for distance in distances])
    return [
        256 * sum(weight * value for weight, value in zip(weights, column, strict=True)) // sum(weights)
        for column in zip(*rows, strict=True)
    ]


def aggregate(rule: MergeRule, rows: Rows, attackers: int) -> list[int] | None:
    """What `merge_round` makes of the rows at a learning rate of 1; None where it merges nothing."""
    before_PD = np.full((1, len(rows[0])), 7, dtype=np.int32)
    updates = [np.array(row, dtype=np.int16) for row in rows]
    merged_PD = merge_round(MergeParameters(rule, ONE, attackers=attackers), before_PD, updates, None).planes_PD
    return None if np.array_equal(merged_PD, before_PD) else (merged_PD[0] - 7).tolist()


def expected(rule: MergeRule, rows: Rows, attackers: int) -> list[int] | None:
    match rule:
        case MergeRule.MULTI_KRUM:
            found = slow_krum(rows, attackers) if len(rows) > 2 * attackers + 2 else []
        case MergeRule.NEAREST_NEIGHBOURS:
            found = slow_mixing(rows, attackers) if len(rows) > 2 * attackers else []
        case _:
            found = slow_median(rows)
    return found if any(found) else None


@pytest.mark.parametrize("rule", WHOLE)
@settings(max_examples=60)
@given(rows=SMALL | WIDE, attackers=st.integers(0, 4))
def test_merge_round__of_whole_updates__then_it_is_the_rule_in_slow_words(
    rule: MergeRule, rows: Rows, attackers: int
) -> None:
    assert aggregate(rule, rows, attackers) == expected(rule, rows, attackers)


@pytest.mark.parametrize("rule", WHOLE)
def test_merge_round__when_updates_have_no_ties__then_their_order_changes_nothing(rule: MergeRule) -> None:
    rng = random.Random(f"order {rule}")  # noqa: S311 - reproducible rounds, not secrets
    for _ in range(40):
        rows = [[rng.randint(-32767, 32767) for _ in range(20)] for _ in range(rng.choice([3, 5, 8, 13]))]
        shuffled = rng.sample(rows, len(rows))
        assert aggregate(rule, shuffled, 1) == aggregate(rule, rows, 1)


@pytest.mark.parametrize("rule", WHOLE)
def test_merge_round__when_equal_updates_change_places__then_nothing_does(rule: MergeRule) -> None:
    """Copies tie everywhere, but are the same update."""
    rows = [[5, 0], [5, 0], [-5, 1], [5, 0], [-5, 1], [40, 3], [5, 0]]
    swapped = [rows[place] for place in (3, 6, 4, 0, 2, 5, 1)]
    assert aggregate(rule, rows, 1) == aggregate(rule, swapped, 1) is not None


def test_krum_selection__when_scores_tie__then_the_earlier_reveals_win() -> None:
    """Corners of a square: every score is the same."""
    corners = [[0, 0], [0, 10], [10, 10], [10, 0]]
    distances = [[int(squared(one, other)) for other in corners] for one in corners]
    assert krum_selection(distances, 1) == [0, 1, 2]


def test_strangers__when_distances_tie__then_the_later_reveals_are_farther() -> None:
    line = [[0], [1], [2], [3]]
    distances = [[int(squared(one, other)) for other in line] for one in line]
    assert strangers(distances, 2) == [[2, 3], [2, 3], [0, 3], [0, 1]]


@pytest.mark.parametrize("rule", WHOLE)
@pytest.mark.parametrize("attackers", [0, 1, 2])
def test_merge_round__with_one_update_fewer_than_the_rule_needs__then_nothing_is_merged(
    rule: MergeRule, attackers: int
) -> None:
    least = {
        MergeRule.MULTI_KRUM: 2 * attackers + 3,
        MergeRule.NEAREST_NEIGHBOURS: 2 * attackers + 1,
        MergeRule.GEOMETRIC_MEDIAN: 1,
    }
    rows = [[100 + index] for index in range(least[rule])]
    assert aggregate(rule, rows, attackers) is not None
    if rows[1:]:
        assert aggregate(rule, rows[1:], attackers) is None


@pytest.mark.parametrize("rule", WHOLE)
def test_merge_round__of_the_most_updates_at_both_ends__then_nothing_overflows(rule: MergeRule) -> None:
    rows = [[-32767, 32767, -32767 if place % 2 else 32767] for place in range(256)]
    assert aggregate(rule, rows, 120) == expected(rule, rows, 120)


def attacked(count: int, attackers: int, size: int = 400) -> tuple[list[NDArray[np.int16]], NDArray[np.float64]]:
    """Honest updates about a common direction, and attackers far out, all in one place."""
    draw = np.random.default_rng(count * 100 + attackers)
    honest = draw.normal(0, 30, size) + draw.normal(0, 60, (count - attackers, size))
    lies = np.broadcast_to(draw.normal(0, 3000, size), (attackers, size))
    updates = np.rint(np.concatenate([lies, honest])).astype(np.int16)
    return list(updates), updates[attackers:].astype(np.float64)


@pytest.mark.parametrize("rule", WHOLE)
@pytest.mark.parametrize("count", [5, 7, 9, 20, 50])
def test_merge_round__when_as_many_lie_as_it_withstands__then_the_aggregate_stays_with_the_honest(
    rule: MergeRule, count: int
) -> None:
    attackers = (count - 3) // 2 if rule == MergeRule.MULTI_KRUM else (count - 1) // 2
    updates, honest = attacked(count, attackers)
    found = aggregate(rule, [update.tolist() for update in updates], attackers)
    assert found is not None
    spread = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
    far = 2.0
    if rule == MergeRule.GEOMETRIC_MEDIAN:  # Pillutla et al. 2022, lemma 3
        far *= (count - attackers) / (count - 2 * attackers)
    assert np.linalg.norm(np.array(found) / 256 - honest.mean(axis=0)) < far * spread
    if rule != MergeRule.GEOMETRIC_MEDIAN:
        mean = np.stack(updates).mean(axis=0)
        assert np.linalg.norm(mean - honest.mean(axis=0)) > far * spread


@pytest.mark.parametrize(("count", "attackers"), [(1, 0), (2, 0), (5, 1), (5, 2), (20, 4), (20, 8), (64, 20)])
def test_median_weights__against_weiszfeld_in_floats__then_the_median_is_the_same_to_a_thousandth(
    count: int, attackers: int
) -> None:
    """Of the honest updates' distance from it, however far out the others are."""
    updates, _ = attacked(count, attackers)
    values = np.stack(updates).astype(np.float64)
    products = gram(updates)
    weights = np.array(median_weights(products.tolist(), squared_distances(products)), dtype=np.float64)
    assert WEIGHTS - count < weights.sum() <= WEIGHTS
    center = np.median(values, axis=0)
    for _ in range(5000):
        pulls = 1 / np.maximum(1.0, np.linalg.norm(values - center, axis=1))
        center = pulls @ values / pulls.sum()
    typical = max(1.0, float(np.median(np.linalg.norm(values - center, axis=1))))
    assert np.linalg.norm(weights @ values / weights.sum() - center) < 1e-3 * typical


def test_median_weights__of_updates_at_the_ends_of_the_range__then_they_still_add_up() -> None:
    """The greatest norms that 2**31 coordinates have, and one zero update."""
    most = 2**31 * 2**30
    products = [[most, -most, 0], [-most, most, 0], [0, 0, 0]]
    distances = [[0, 4 * most, most], [4 * most, 0, most], [most, most, 0]]
    weights = median_weights(products, distances)
    assert weights[0] == weights[1] < weights[2]
    assert WEIGHTS - 3 < sum(weights) <= WEIGHTS
