"""From scores to pay: what may not earn, what may not earn twice, and that no unit is lost."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.contribution import (
    ALIKE,
    COMMON,
    ONE,
    SCORE_BITS,
    SCORE_MAX,
    SEEN_BEFORE,
    SIGMAS,
    UNSEEN_BITS,
    alignment,
    chance_cosine,
    copies,
    counts_once,
    helps,
    pay,
    repeats,
    to_score,
    weights,
)
from ledger.records import Wei

pytestmark = pytest.mark.unit

SHARES = st.integers(0, 2**96 - 1).map(Wei)
WEIGHTS = st.lists(st.integers(0, SCORE_MAX), max_size=32)
SCORES = st.integers(-SCORE_MAX, SCORE_MAX)
UPDATES = st.lists(st.lists(st.integers(-32767, 32767), min_size=6, max_size=6), min_size=1, max_size=7)


def products(updates: list[list[int]]) -> list[list[int]]:
    return [[sum(a * b for a, b in zip(one, other, strict=True)) for other in updates] for one in updates]


def counted(updates: list[list[int]], units: int = ALIKE) -> tuple[int, ...]:
    return copies(products(updates), [True] * len(updates), units)


@given(st.floats(-1e9, 1e9))
def test_to_score__of_a_value__then_it_is_the_nearest_on_the_grid(value: float) -> None:
    assert abs(Fraction(to_score(value), 2**SCORE_BITS) - Fraction(value)) <= Fraction(1, 2 ** (SCORE_BITS + 1))


def test_to_score__beyond_an_int64__then_it_saturates() -> None:
    assert (to_score(1e30), to_score(-1e30)) == (SCORE_MAX, -SCORE_MAX)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_to_score__when_it_is_not_finite__then_it_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="a contribution can't be"):
        to_score(value)


@given(SHARES, WEIGHTS)
def test_pay__of_any_weights__then_every_unit_is_accounted_for(share: Wei, weighed: list[int]) -> None:
    divided = pay(share, weighed)
    assert divided.paid + divided.residue == share
    assert divided.paid <= share
    assert all(part == 0 for part, weight in zip(divided.parts, weighed, strict=True) if weight == 0)
    assert divided.residue < max(1, len(weighed)) or not any(weighed)


@given(SHARES, WEIGHTS.filter(any), st.data())
def test_pay__when_a_weight_is_cut_in_two__then_the_parts_earn_no_more(
    share: Wei, weighed: list[int], data: st.DataObject
) -> None:
    part = data.draw(st.integers(0, weighed[0]))
    whole, cut = pay(share, weighed), pay(share, [part, weighed[0] - part, *weighed[1:]])
    assert cut.parts[0] + cut.parts[1] <= whole.parts[0]
    assert cut.parts[2:] == whole.parts[1:]


def test_pay__when_nobody_weighs_anything__then_the_share_stays() -> None:
    assert pay(Wei(100), [0, 0]).parts == (0, 0)
    assert pay(Wei(100), []).residue == 100


@pytest.mark.parametrize(("share", "weighed"), [(-1, [1]), (5, [1, -1])])
def test_pay__of_something_negative__then_it_is_refused(share: int, weighed: list[int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        pay(Wei(share), weighed)


@given(st.lists(st.tuples(SCORES, st.booleans()), max_size=12))
def test_weights__of_any_scores__then_harm_noise_and_replays_weigh_nothing(found: list[tuple[int, bool]]) -> None:
    weighed = weights([score for score, _ in found], [new for _, new in found])
    assert list(weighed) == [score if new and score > 0 else 0 for score, new in found]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_counts_once__of_groups__then_each_counts_as_one(groups: list[int]) -> None:
    alike = [size for size in groups for _ in range(size)]
    counts = iter(counts_once(alike))
    together = [sum(next(counts) for _ in range(size)) for size in groups]
    assert all(math.isclose(one, len(alike) / len(groups)) for one in together)


@given(UPDATES, st.integers(1, 4), st.lists(st.integers(-32767, 32767), min_size=6, max_size=6))
def test_copies__of_equal_updates__then_each_counts_all_of_them(
    others: list[list[int]], more: int, one: list[int]
) -> None:
    updates = [one] * (more + 1) + others
    counts = counted(updates)
    rest = [row for place, row in enumerate(updates) if place not in (0, 1)]
    is_middle = all(x * max(1, len(rest)) == sum(c) for x, c in zip(one, zip(*rest, strict=True), strict=True))
    assert is_middle or min(counts[: more + 1]) >= more + 1


@given(UPDATES, st.permutations(range(7)))
def test_copies__when_the_order_changes__then_the_counts_follow(updates: list[list[int]], order: list[int]) -> None:
    chosen = [place for place in order if place < len(updates)]
    straight = counted(updates)
    assert counted([updates[place] for place in chosen]) == tuple(straight[place] for place in chosen)


@given(UPDATES)
def test_copies__of_a_few_updates__then_they_are_those_that_fractions_give(updates: list[list[int]]) -> None:
    def alike(one: int, other: int, weigh: list[Fraction]) -> bool:
        rest = [place for place in range(len(updates)) if place not in (one, other)]
        whole = sum((weigh[place] for place in rest), Fraction(0))
        middle = [sum(weigh[p] * updates[p][c] for p in rest) / whole if rest else Fraction(0) for c in range(6)]
        x, y = ([v - m for v, m in zip(updates[of], middle, strict=True)] for of in (one, other))
        xy, xx, yy = (sum(a * b for a, b in zip(*pair, strict=True)) for pair in ((x, y), (x, x), (y, y)))
        least = Fraction(ALIKE, ONE) + (1 - Fraction(ALIKE, ONE)) / (whole + 1)
        return xy > 0 and xy**2 >= least**2 * xx * yy

    places, counts = range(len(updates)), [1] * len(updates)
    for _ in range(2):
        weigh = [Fraction(1, count) for count in counts]
        counts = [sum(one == other or alike(one, other, weigh) for other in places) for one in places]
    assert counted(updates) == tuple(counts)


def test_copies__when_everyone_learnt_the_same_task__then_what_they_share_makes_nobody_a_copy() -> None:
    common = [30_000, 30_000, 0, 0, 0, 0]
    updates = [[c + 900 * (place == axis) for axis, c in enumerate(common)] for place in range(2, 6)]
    assert counted(updates) == (1, 1, 1, 1)
    assert counted([*updates, updates[0]]) == (2, 1, 1, 1, 2)


def test_copies__of_two_alone__then_only_multiples_are_alike() -> None:
    assert counted([[8, 8, 0, 0, 0, 0], [8, 7, 0, 0, 0, 0]]) == (1, 1)
    assert counted([[8, 8, 0, 0, 0, 0], [6, 6, 0, 0, 0, 0]]) == (2, 2)


def test_copies__of_what_is_not_new__then_it_is_nobodys_copy() -> None:
    zero = [0] * 6
    updates = [[9, 0, 0, 0, 0, 0], [0, 9, 0, 0, 0, 0], [0, 0, 9, 0, 0, 0], zero, zero]
    new = [True, True, True, False, False]
    assert copies(products(updates), new) == (1, 1, 1, 1, 1)
    assert copies(products([*updates[:3], *[[0, 0, 0, 9, 0, 0]] * 2]), [True] * 5) == (1, 1, 1, 2, 2)


@given(st.integers(0, 2**40), st.integers(1, 2**40))
def test_helps__at_the_border_of_chance__then_it_must_be_over_it(chance: int, more: int) -> None:
    assert not helps(SIGMAS * chance, chance)
    assert helps(SIGMAS * chance + more, chance)


@pytest.mark.parametrize("coordinates", [2, 3, 15, 2410, 10**8])
def test_chance_cosine__of_any_coordinates__then_an_update_along_the_gradient_is_beyond_it(coordinates: int) -> None:
    assert helps(2**32, to_score(chance_cosine(coordinates) * 2**32 / 2**SCORE_BITS))


def test_chance_cosine__of_random_directions__then_few_exceed_it_in_few_coordinates_too() -> None:
    rng = np.random.default_rng(1)
    for coordinates, most in ((15, 0.045), (150, 0.035)):
        directions = rng.standard_normal((2000, coordinates))
        cosines = directions[:, 0] / np.linalg.norm(directions, axis=1)
        assert 0 < np.mean(cosines > SIGMAS * chance_cosine(coordinates)) < most


WHOLE = 2**UNSEEN_BITS
STRICT = WHOLE // SEEN_BEFORE
PARTS = st.integers(0, WHOLE)


@pytest.mark.parametrize("typical", [WHOLE, WHOLE // 2, WHOLE // COMMON + 1])
def test_repeats__where_updates_go_new_ways__then_it_is_below_a_twentieth(typical: int) -> None:
    others = [typical] * 4
    assert repeats([STRICT, *others]) == (True, False, False, False, False)
    assert repeats([STRICT + 1, *others]) == (False,) * 5


def test_repeats__where_all_go_the_way_of_the_round_before__then_it_is_below_a_twentieth_of_theirs() -> None:
    honest = [900, 300, 2000, 700]
    assert repeats(honest) == (False,) * 4
    assert repeats([*honest, 700 // SEEN_BEFORE]) == (False,) * 5
    assert repeats([*honest, 700 // SEEN_BEFORE - 1]) == (False,) * 4 + (True,)
    assert repeats([*honest, 0]) == (False,) * 4 + (True,)


def test_repeats__of_an_update_alone__then_nothing_shows_that_its_way_is_common() -> None:
    assert repeats([STRICT]) == (True,)
    assert repeats([STRICT + 1, 0, 0]) == (False, True, True)


@given(st.lists(st.integers(1, WHOLE), min_size=1, max_size=9), PARTS, st.data())
def test_repeats__of_fewer_liars_than_honest__then_the_verdict_is_one_that_honest_updates_give(
    honest: list[int], own: int, data: st.DataObject
) -> None:
    liars = data.draw(st.lists(PARTS, max_size=(len(honest) - 1)))
    verdict = repeats([own, *honest, *liars])[0]
    alone = {repeats([own, witness])[0] for witness in honest}
    assert verdict in alone


@given(st.lists(PARTS, max_size=8), st.integers(0, 8))
def test_repeats__of_what_rounding_explains__then_it_is_a_replay_that_changes_nothing(
    unseen: list[int], replays: int
) -> None:
    assert repeats([*unseen, *[0] * replays]) == (*repeats(unseen), *[True] * replays)


@given(UPDATES)
def test_alignment__of_any_updates__then_it_is_a_cosine(updates: list[list[int]]) -> None:
    assert all(-1.0001 <= value <= 1.0001 for value in alignment(products(updates)))


def test_alignment__of_the_one_that_is_unlike_the_rest__then_it_is_low_whatever_it_is_worth() -> None:
    found = alignment(products([[10, 0, 0, 0, 0, 0], [10, 1, 0, 0, 0, 0], [0, 0, 4, 0, 0, 0], [0] * 6]))
    assert found[2] < 0.25 < 0.9 < min(found[:2])
    assert found[3] == 0.0
